"""Concepts as the atoms of a factorisation, and codes against atoms."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from vinfo_mpi.api.arrays import BY_POSITION, A, Rows, check_choice, like, whole_numbers
from vinfo_mpi.api.ranks import ranks_of, same_on_all
from vinfo_mpi.errors import InputError
from vinfo_mpi.numerics import nmf
from vinfo_mpi.numerics import nnls as numerics

if TYPE_CHECKING:
    from mpi4py import MPI

    from vinfo_mpi.parallel.ranks import Ranks
    from vinfo_mpi.parallel.single import Single

Solver = Literal["hals", "mu"]
Atoms = Literal["auto", "non-negative", "signed"]
Init = Literal["nndsvda", "random"]


class NMF:
    """Non-negative matrix factorisation X ≈ Z D: concepts are the rows of D.

    What the stages ``dictionary`` and ``encode`` compute, with their options (docs/method.md,
    sections 3 and 4). Activations are (n, d), a vector per image, or (n, P, d), one per position:
    of a map, ``x.flatten(2).transpose(1, 2)`` of a torch tensor (n, d, height, width).

    Parameters
    ----------
    concepts : int
        Atoms: of every class where `fit` is given labels, else in all.
    solver : str
        ``hals`` or ``mu`` (multiplicative).
    atoms : str
        ``non-negative``; ``signed``, for layers without a ReLU (codes stay non-negative);
        ``auto``: signed where activations are negative.
    init : str
        The atoms that the fit starts from: ``nndsvda`` or ``random``.
    tolerance : float
        Stop when one iteration lowers the objective by less than this share.
    max_iterations : int
    seed : int

    Attributes
    ----------
    atoms_ : (K, d) float64 array or tensor
        Atoms of unit length; class after class.
    class_ : (K,) int64 array or tensor
        The class that each atom was fitted to; -1: all.
    objective_ : (iterations,) float64 array or tensor
        ||X - Z D||² after every iteration.
    relative_error_ : float
        ||X - Z D|| / ||X|| at the end of the fit.

    Examples
    --------
    >>> import numpy as np
    >>> from vinfo_mpi import NMF
    >>> random = np.random.default_rng(0)
    >>> x = random.exponential(size=(100, 3)) @ random.exponential(size=(3, 20))
    >>> nmf = NMF(3, tolerance=0.05).fit(x)
    >>> codes = nmf.encode(x)
    >>> codes.shape, nmf.atoms_.shape
    ((100, 3), (3, 20))
    >>> bool(np.linalg.norm(nmf.decode(codes) - x) < 0.1 * np.linalg.norm(x))
    True
    """

    atoms_: Any
    class_: Any
    objective_: Any
    relative_error_: float

    def __init__(
        self,
        concepts: int = 10,
        *,
        solver: Solver = "hals",
        atoms: Atoms = "auto",
        init: Init = "nndsvda",
        tolerance: float = 1e-4,
        max_iterations: int = 500,
        seed: int = 0,
    ) -> None:
        check_choice("solver", solver, Solver)
        check_choice("atoms", atoms, Atoms)
        check_choice("init", init, Init)
        if concepts < 1 or max_iterations < 1:
            raise InputError(
                f"concepts: {concepts}, max_iterations: {max_iterations}; give at least 1"
            )
        self.concepts = concepts
        self.solver = solver
        self.atoms = atoms
        self.init = init
        self.tolerance = tolerance
        self.max_iterations = max_iterations
        self.seed = seed

    def fit(self, x: Any, labels: Any = None, *, comm: MPI.Comm | None = None) -> NMF:
        """Find atoms that rebuild activations.

        Parameters
        ----------
        x : (n, d) or (n, P, d) array or tensor
        labels : (n,) array of whole numbers, optional
            Classes 0 .. C-1: every class has atoms of its own, at most one per image.
        comm : mpi4py communicator, optional
            The rows are those of this rank.

        Returns
        -------
        NMF
            This one.

        Raises
        ------
        InputError
            If activations are negative and atoms must not be, or a class has too few images.
        """
        ranks = ranks_of(comm)
        with ranks.together():
            rows = Rows(x, "x", BY_POSITION)
            rows.check_finite()
            vectors = _vectors(rows)
            classes = None if labels is None else whole_numbers(labels, "labels", len(rows))
        same_on_all(ranks, "x", rows.shape[1:])
        same_on_all(ranks, "the options of NMF", self._options())
        of_groups = self._atoms_of_groups(ranks, len(rows), classes)
        signed = self._signed(ranks.any(bool((vectors < 0).any())))
        group = np.zeros(len(rows), np.int64) if classes is None else classes
        state = nmf.fit(
            vectors,
            int(of_groups.max()),
            torch.from_numpy(group.repeat(len(vectors) // max(1, len(rows)))).to(rows.device),
            len(of_groups),
            atoms_of_group=torch.from_numpy(of_groups),
            solver=self.solver,
            signed=signed,
            init=self.init,
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            seed=self.seed,
            reduce=ranks.sum,
        )
        self._keep(state, of_groups, classes is not None, x)
        return self

    def encode(self, x: A, *, tolerance: float = 1e-4, max_iterations: int = 5000) -> A:
        """Return the codes of images against all atoms, see `nnls`; averaged over positions.

        Parameters
        ----------
        x : (n, d) or (n, P, d) array or tensor

        Returns
        -------
        (n, K) float64 array or tensor
        """
        return nnls(x, self._fitted(), tolerance=tolerance, max_iterations=max_iterations)

    def decode(self, codes: A) -> A:
        """Return what codes (n, K) rebuild: (n, d) float64."""
        values = torch.as_tensor(codes).double()
        atoms = torch.as_tensor(self._fitted(), device=values.device)
        return like(codes, values @ atoms)

    def _options(self) -> tuple[Any, ...]:
        fit = (self.tolerance, self.max_iterations, self.seed)
        return (self.concepts, self.solver, self.atoms, self.init, *fit)

    def _fitted(self) -> Any:
        if not hasattr(self, "atoms_"):
            raise InputError("this NMF has no atoms yet: call fit first")
        return self.atoms_

    def _atoms_of_groups(
        self, ranks: Ranks | Single, n: int, classes: np.ndarray | None
    ) -> np.ndarray:
        """Return how many atoms every class has, at most one per image; (G,) int64."""
        same_on_all(ranks, "whether there are labels", classes is not None)
        if classes is None:
            if not sum(ranks.allgather(n)):
                raise InputError("x: has no rows")
            return np.array([self.concepts])
        labels = ranks.concatenate(classes)
        if not len(labels) or labels.min() < 0:
            raise InputError("labels: give a number from 0 on for each row, and at least one row")
        counts = np.bincount(labels)
        if counts.max() < self.concepts:
            raise InputError(
                f"labels: no class has more than {counts.max()} images, fewer than the "
                f"{self.concepts} concepts of every class; ask for fewer, or give no labels"
            )
        return np.minimum(counts, self.concepts)

    def _signed(self, negative: bool) -> bool:
        if negative and (self.atoms == "non-negative" or self.solver == "mu"):
            raise InputError(
                "x: has negative numbers, to which NMF does not apply; take activations behind a "
                "ReLU, or atoms='signed' with solver='hals'"
            )
        if self.atoms == "signed" and self.solver == "mu":
            raise InputError("solver: mu needs non-negative atoms; use hals")
        return self.atoms == "signed" or negative

    def _keep(self, state: nmf.State, of_groups: np.ndarray, by_class: bool, x: Any) -> None:
        used = np.arange(state.atoms.shape[1]) < of_groups[:, None]
        numbers = np.arange(len(of_groups)) if by_class else np.full(1, -1)
        self.atoms_ = like(x, state.atoms[torch.from_numpy(used).to(state.atoms.device)])
        self.class_ = like(x, np.repeat(numbers, of_groups))
        self.objective_ = like(x, np.array(state.objective))
        self.relative_error_ = state.relative_error
        if len(state.objective) == self.max_iterations:
            warnings.warn(
                f"NMF: stopped after max_iterations ({self.max_iterations}) before reaching the "
                f"tolerance {self.tolerance:g}; relative error {state.relative_error:.4f}",
                stacklevel=3,
            )


def nnls(x: A, atoms: Any, *, tolerance: float = 1e-4, max_iterations: int = 5000) -> A:
    """Return non-negative codes that rebuild activations best: argmin_{z ≥ 0} ||x - z D||².

    A code depends on its row alone, so that ranks encode their own rows without a communicator.

    Parameters
    ----------
    x : (n, d) or (n, P, d) array or tensor
        Codes of several positions are averaged.
    atoms : (K, d) array or tensor
    tolerance : float
        Largest violation of the KKT conditions, relative to max|x Dᵀ|. A row that has not reached
        it after `max_iterations` is warned of.
    max_iterations : int

    Returns
    -------
    (n, K) float64 array or tensor

    Raises
    ------
    InputError
        If atoms have another number of channels, or numbers are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from vinfo_mpi import nnls
    >>> atoms = np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]])
    >>> nnls(np.array([[2.6, 0.8, 0.0], [-1.0, 2.0, 5.0]]), atoms, tolerance=1e-9).round(6)
    array([[2., 1.],
           [0., 1.]])
    """
    rows = Rows(x, "x", BY_POSITION)
    of_atoms = Rows(atoms, "atoms")
    if rows.shape[-1] != of_atoms.shape[1]:
        raise InputError(
            f"x has {rows.shape[-1]} channels and atoms {of_atoms.shape[1]}; give atoms of the "
            "same layer"
        )
    rows.check_finite()
    of_atoms.check_finite()
    dictionary = numerics.Dictionary(of_atoms.read(range(len(of_atoms))).to(rows.device))
    codes = torch.zeros(len(rows), len(of_atoms), dtype=torch.float64, device=rows.device)
    missed = 0
    for where, block in rows.blocks():
        vectors = block.reshape(-1, rows.shape[-1])
        solved = dictionary.encode(vectors, tolerance, max_iterations)
        codes[where] = solved.codes.reshape(len(block), -1, len(of_atoms)).mean(1)
        missed += int((solved.residual > tolerance).sum())
    if missed:
        warnings.warn(
            f"nnls: {missed} codes did not reach the tolerance {tolerance:g} within "
            f"max_iterations ({max_iterations}); raise it",
            stacklevel=2,
        )
    return like(x, codes)


def _vectors(rows: Rows) -> torch.Tensor:
    """Return all vectors as they are stored, without a copy where that can be: (n P, d)."""
    values = rows.values
    if not isinstance(values, torch.Tensor):
        values = np.asarray(values)
        values = torch.from_numpy(values if values.flags.writeable else values.copy())
    floating = values if values.dtype.is_floating_point else values.double()
    return floating.detach().reshape(-1, rows.shape[-1])
