"""Non-negative least squares of many rows against one dictionary: z = argmin_{z ≥ 0} ||x - z D||².

By alternating directions (`vinfo_mpi.numerics.nnls_rows`). Every row has a penalty of its own, and
stops on its own: a code depends on its row alone, not on the rows beside it. A row that is done
makes room for the next one, so that the products stay large and the memory small.

By working sets (`vinfo_mpi.numerics.working_sets`), unless told otherwise against many atoms on a
CPU: a row is carried by few of them. What they cannot solve, alternating directions do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch

from vinfo_mpi.numerics import working_sets
from vinfo_mpi.numerics.nnls_rows import Factors, OpenRows, at, free_on, scale_of, violation_of

CHECK = 10  # iterations between looks at which rows are done
# Elements of the codes that are worked on at once, and rows at least: what stays in a processor's
# cache. On a GPU rows at most, and how many arrays of the size of their codes must have room.
CACHE = 2**16
FEWEST = 256
MOST = 2**12
ARRAYS = 14
# Atoms from which on working sets are faster, and up to which their products are held (2 GB).
MANY = 2000
TOO_MANY = 16384
ROUNDING = 1e-14  # an eigenvalue below this share of the largest is 0
# Residual that float32 reaches in as many iterations as float64, and iterations after which a row
# goes on in float64.
SINGLE = 2e-5
PATIENCE = 500

Solver = Literal["auto", "directions", "working-sets"]


@dataclass
class Codes:
    """Codes and how well they satisfy the optimality conditions.

    Attributes
    ----------
    codes : (n, K) float64 tensor
    residual : (n,) float64 tensor
        max|min(z, gradient)| / max|x Dᵀ|: 0 at the optimum (the Karush-Kuhn-Tucker conditions).
    """

    codes: torch.Tensor
    residual: torch.Tensor


class Dictionary:
    """Atoms prepared for encoding: with their products, or the eigenvectors of these.

    Parameters
    ----------
    atoms : (K, d) tensor
    solver : str
        ``directions``, ``working-sets``, or ``auto``; see `by_working_sets`.
    room : float, or None
        Bytes of a GPU that may be taken; None: what is free of it.
    """

    def __init__(
        self, atoms: torch.Tensor, solver: Solver = "auto", room: float | None = None
    ) -> None:
        self.atoms = atoms.double()
        concepts, channels = atoms.shape
        self._sets = by_working_sets(concepts, channels, atoms.device.type, solver)
        self._room = room

    def encode(
        self,
        x: torch.Tensor,
        tolerance: float = 1e-4,
        max_iterations: int = 5000,
        precision: torch.dtype = torch.float64,
        together: int | None = None,
    ) -> Codes:
        """Return the codes of rows x: (n, d) tensor.

        A row stops when its residual, looked at every `CHECK` iterations, is at most `tolerance`;
        what alternating directions reach after `max_iterations` is returned as it is, with its
        residual.

        Parameters
        ----------
        precision : torch.dtype
            Of the iterations: float64, or float32 for a device that is slow in float64. Residuals
            are of float64 anyway, and rows with a residual above the tolerance then continue in it.
            Working sets are always of float64.
        together : int, or None
            Rows that are worked on at once; None: as many as suit the device.
        """
        if self._sets:
            codes, residual = working_sets.solve(
                x.double(),
                self.atoms,
                self._products,
                tolerance,
                together or working_sets.rows_at_once(self.atoms, self._room),
            )
        elif precision == torch.float64:
            return _solve(self._factors, x, tolerance, max_iterations, together)
        else:
            coarse = max(tolerance, SINGLE)
            patience = min(max_iterations, PATIENCE)
            codes = _solve(self._single, x, coarse, patience, together).codes
            parts = zip(x.split(MOST), codes.split(MOST), strict=True)
            residual = torch.cat([self._residual(*part) for part in parts])
        missed = (residual > tolerance).nonzero()[:, 0]
        if len(missed):
            further = _solve(
                self._factors, x[missed], tolerance, max_iterations, together, codes[missed]
            )
            codes[missed] = further.codes
            residual[missed] = further.residual
        return Codes(codes, residual)

    @cached_property
    def _products(self) -> torch.Tensor:
        return self.atoms @ self.atoms.T

    @cached_property
    def _factors(self) -> Factors:
        basis, values = _decomposed(self.atoms)
        significant = values[values > 1e-10 * values[:1]]
        penalty = 1.0
        if len(significant):
            penalty = float((significant.median() * significant.min()).sqrt())
        return Factors(self.atoms, basis, values, self.atoms.T @ basis, penalty)

    @cached_property
    def _single(self) -> Factors:
        return self._factors.in_float32()

    def _residual(self, x: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Return how far the codes of rows are from the optimality conditions, see `Codes`."""
        target = x.to(self.atoms.dtype) @ self.atoms.T
        gradient = (codes @ self.atoms) @ self.atoms.T - target
        return violation_of(codes, gradient, scale_of(target))


def encode(
    x: torch.Tensor, atoms: torch.Tensor, tolerance: float = 1e-4, max_iterations: int = 5000
) -> Codes:
    """Return the codes of rows x (n, d) against the atoms (K, d). See `Dictionary.encode`."""
    return Dictionary(torch.as_tensor(atoms)).encode(torch.as_tensor(x), tolerance, max_iterations)


def by_working_sets(concepts: int, channels: int, device: str, solver: Solver = "auto") -> bool:
    """Whether codes against so many atoms are found by working sets on a kind of device.

    ``auto``: where they have been measured to be faster.
    """
    if solver != "auto":
        return solver == "working-sets"
    few = concepts >= 2 * channels
    return device == "cpu" and few and MANY <= concepts <= TOO_MANY


def _solve(
    factors: Factors,
    x: torch.Tensor,
    tolerance: float,
    max_iterations: int,
    together: int | None,
    start: torch.Tensor | None = None,
) -> Codes:
    """Return the codes of rows, found in the precision of the factors; see `encode`.

    `start`: codes (n, K) that are nearly right.
    """
    n = len(x)
    concepts = len(factors.atoms)
    codes = torch.zeros(n, concepts, dtype=torch.float64, device=x.device)
    residual = torch.zeros(n, dtype=torch.float64)
    entered = min(n, together or _suitable(concepts, x.device))
    open_rows = OpenRows(factors, x, entered, start)
    while len(open_rows.index):
        open_rows.iterate(CHECK)
        violation = open_rows.violation().cpu()  # the one time that a look waits for a GPU
        done = (violation <= tolerance) | (open_rows.age >= max_iterations)
        places = done.nonzero()[:, 0]
        index = open_rows.index[places]
        if len(index):
            codes[at(index, x)] = open_rows.y[at(places, x)].double()
            residual[index] = violation[places].double()
        open_rows.balance()
        following = torch.arange(entered, min(n, entered + len(index)))
        open_rows.replace(places, following)
        entered += len(following)
    return Codes(codes, residual.to(x.device))


def _suitable(concepts: int, device: torch.device) -> int:
    """Return how many rows are worked on at once on a device."""
    if device.type == "cpu":
        return max(FEWEST, CACHE // concepts)
    return max(FEWEST, min(MOST, free_on(device) // (ARRAYS * 8 * concepts)))


def _decomposed(atoms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return eigenvectors, (K, min(K, d)), and eigenvalues of D Dᵀ, the largest first.

    On a GPU from the smaller Gram matrix: its singular value decomposition takes minutes for 10,000
    atoms. Vectors of eigenvalues that are 0 but for rounding are zeros there: nothing is multiplied
    with them but these eigenvalues.
    """
    if not atoms.is_cuda:
        basis, singular, _ = torch.linalg.svd(atoms, full_matrices=False)
        return basis, singular.square()
    wide = len(atoms) <= atoms.shape[1]
    values, vectors = torch.linalg.eigh(atoms @ atoms.T if wide else atoms.T @ atoms)
    values = values.flip(0)
    vectors = vectors.flip(1).contiguous()
    values = torch.where(values > ROUNDING * values[:1], values, 0)
    if wide:
        return vectors, values
    return atoms @ vectors * torch.where(values > 0, values, torch.inf).rsqrt(), values
