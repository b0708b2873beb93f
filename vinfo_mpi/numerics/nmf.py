"""Non-negative matrix factorisation X ≈ Z D over rows that lie on different ranks.

Rows may belong to groups (classes): every group has a dictionary of its own, all fitted together,
which is one factorisation with a block-diagonal Z. Rows and their codes never move; one iteration
adds, over the ranks, the sums [ZᵀX | ZᵀZ] of every group in one buffer, whose size does not depend
on the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch.nn.functional import normalize

from vinfo_mpi.numerics import nndsvd
from vinfo_mpi.numerics.grouped_rows import GroupedRows
from vinfo_mpi.numerics.nmf_updates import SOLVERS
from vinfo_mpi.numerics.reduction import Reduce, identity

EPSILON = 1e-7


@dataclass
class State:
    """State of a fit: enough to resume it.

    Attributes
    ----------
    atoms : (G, k, d) float64 tensor
        Dictionary of every group, rows of unit length; the same on all ranks.
    codes : (k, n) float64 tensor
        Codes of this rank's rows, Zᵀ.
    objective : list of float
        ||X - Z D||² over all rows, after each iteration.
    size : float
        ||X||².
    """

    atoms: torch.Tensor
    codes: torch.Tensor
    objective: list[float] = field(default_factory=list)
    size: float = 0.0

    @property
    def relative_error(self) -> float:
        """||X - Z D|| / ||X||."""
        return max(0.0, self.objective[-1] / self.size) ** 0.5 if self.size else 0.0


class _Sums:
    """The sums of an iteration over the ranks, in one buffer.

    Attributes
    ----------
    buffer : tensor
        Behind the others.
    products, grams : (G, k, d), (G, k, k) float64 tensors
        ZᵀX and ZᵀZ of every group.
    votes : (2,) float64 tensor
        Ranks that want to stop, and all ranks.
    """

    def __init__(self, atoms: torch.Tensor) -> None:
        groups, concepts, d = atoms.shape
        sizes = [groups * concepts * d, groups * concepts * concepts, 2]
        self.buffer = torch.zeros(sum(sizes), dtype=torch.float64, device=atoms.device)
        products, grams, self.votes = self.buffer.split(sizes)
        self.products = products.view(groups, concepts, d)
        self.grams = grams.view(groups, concepts, concepts)

    def restart(self, stop: bool) -> None:
        """Set the sums to zero, and this rank's vote."""
        self.buffer.zero_()
        self.votes[:] = torch.tensor([float(stop), 1.0])

    @property
    def stopped(self) -> bool:
        """Whether most ranks want to stop."""
        return bool(self.votes[0] * 2 > self.votes[1])


def fit(
    x: torch.Tensor,
    concepts: int,
    group: torch.Tensor | None = None,
    groups: int = 1,
    *,
    atoms_of_group: torch.Tensor | None = None,
    solver: str = "hals",
    signed: bool = False,
    init: str = "nndsvda",
    tolerance: float = 1e-4,
    max_iterations: int = 500,
    seed: int = 0,
    reduce: Reduce = identity,
    start: State | None = None,
    after: Callable[[Callable[[], State]], None] | None = None,
) -> State:
    """Factorise the rows of all ranks.

    Parameters
    ----------
    x : (n, d) tensor
        This rank's rows, non-negative unless `signed`. May be empty.
    concepts : int
        Atoms k of every group.
    group : (n,) integer tensor
        Group of every row; default: one group.
    groups : int
        Number of groups G.
    atoms_of_group : (G,) integer tensor
        Groups that have fewer than k atoms: their last ones, and the codes of these, are 0.
    solver : str
        ``hals`` or ``mu``.
    signed : bool
        Let atoms take either sign; codes stay non-negative (semi-NMF).
    init : str
        Initial atoms: ``nndsvda``, or ``random``, as they also are in a group of fewer than k rows,
        and where k > d.
    tolerance : float
        Stop when an iteration lowers the objective by less than this share of it.
    seed : int
        For initial values; they do not depend on the division of the rows.
    reduce : function of a tensor
        Sums a tensor over the ranks, in place.
    start : State
        Go on from here instead of from the start. It gives up its codes.
    after : function of a function
        Called after every iteration, with a function that returns a copy of the state, from which a
        fit can start.

    Returns
    -------
    State
    """
    improve = SOLVERS[solver]
    rows = GroupedRows(x, group, groups)
    size = _squared_size(rows, reduce)
    no_codes = torch.empty(concepts, 0, dtype=torch.float64, device=x.device)
    if start is None:
        atoms = _initial_atoms(rows, concepts, init, signed, seed, reduce)
        state = State(atoms, no_codes, size=size)
        packed = _initial_codes(rows, concepts)  # they lie batch by batch until the end
        if atoms_of_group is not None:
            _clear_unused(state.atoms, rows.groups, packed, atoms_of_group)
    else:
        state = State(start.atoms.clone(), no_codes, list(start.objective), size)
        packed = rows.pack(start.codes)
        start.codes = start.codes[:0].clone()  # they are as large as ours

    def copy() -> State:
        codes = rows.unpack(packed, concepts)
        return State(state.atoms.clone(), codes, list(state.objective), state.size)

    sums = _Sums(state.atoms)
    while len(state.objective) < max_iterations:
        # All ranks must stop at the same iteration, also where their processors round differently:
        # they vote.
        sums.restart(stop=_converged(state, tolerance))
        for index, block, codes in zip(rows.groups, rows.batches(), packed, strict=True):
            atoms = state.atoms[index]  # (b, k, d)
            improve(atoms @ block.transpose(1, 2), atoms @ atoms.transpose(1, 2), codes)
            sums.products.index_add_(0, index, codes @ block)
            sums.grams.index_add_(0, index, codes @ codes.transpose(1, 2))
        reduce(sums.buffer)
        if sums.stopped:
            break
        improve(sums.products, sums.grams, state.atoms, signed)
        state.objective.append(_objective(state, sums.products, sums.grams))
        _normalise(state, rows.groups, packed)
        if after is not None:
            after(copy)
    state.codes = rows.unpack(packed, concepts)
    return state


def usage(state: State, group: torch.Tensor) -> torch.Tensor:
    """Return the sum of the codes of every atom over this rank's rows: (G, k); 0 = never used."""
    total = torch.zeros(state.atoms.shape[:2], dtype=torch.float64, device=state.codes.device)
    return total.index_add_(0, group, state.codes.T)


def random_atoms(groups: int, concepts: int, d: int, seed: int) -> torch.Tensor:
    """Return random positive atoms of unit length: (G, k, d) float64."""
    generator = torch.Generator().manual_seed(seed)
    atoms = torch.randn(groups, concepts, d, generator=generator, dtype=torch.float64)
    return normalize(atoms.abs(), dim=-1)


def _squared_size(rows: GroupedRows, reduce: Reduce) -> float:
    """Return ||X||² over the rows of all ranks."""
    total = torch.zeros(1, dtype=torch.float64, device=rows.x.device)
    for block in rows.batches():
        total += block.square_().sum()
    return reduce(total).item()


def _initial_atoms(
    rows: GroupedRows, concepts: int, init: str, signed: bool, seed: int, reduce: Reduce
) -> torch.Tensor:
    """Return the atoms that a fit starts from: (G, k, d) float64."""
    d = rows.x.shape[1]
    atoms = random_atoms(rows.count, concepts, d, seed).to(rows.x.device)
    if init == "nndsvda" and concepts <= d:
        informed, count = nndsvd.atoms(rows, concepts, seed, signed, reduce)
        atoms = torch.where((count >= concepts)[:, None, None], informed, atoms)
    return atoms


def _initial_codes(rows: GroupedRows, concepts: int) -> list[torch.Tensor]:
    """Return packed codes, small and positive, so that the multiplicative solver can move them."""
    small = torch.full((concepts, 1), EPSILON, dtype=torch.float64, device=rows.x.device)
    return rows.pack(small.expand(-1, len(rows.x)))


def _clear_unused(
    atoms: torch.Tensor,
    groups: list[torch.Tensor],
    packed: list[torch.Tensor],
    atoms_of_group: torch.Tensor,
) -> None:
    """Set atoms that groups do not have to 0, and their codes: no solver moves one alone."""
    numbers = torch.arange(atoms.shape[1], device=atoms.device)
    used = numbers < atoms_of_group.to(atoms.device)[:, None]  # (G, k)
    atoms *= used[..., None]
    for index, codes in zip(groups, packed, strict=True):
        codes *= used[index][..., None]


def _objective(state: State, products: torch.Tensor, grams: torch.Tensor) -> float:
    """Return ||X||² - 2 tr(D XᵀZ) + tr(ZᵀZ D Dᵀ): exact, from sums alone."""
    crossed = (state.atoms * products).sum()
    squared = (grams * (state.atoms @ state.atoms.transpose(1, 2))).sum()
    return max(0.0, (state.size - 2 * crossed + squared).item())


def _normalise(state: State, groups: list[torch.Tensor], packed: list[torch.Tensor]) -> None:
    norms = state.atoms.norm(dim=-1)  # (G, k)
    norms = torch.where(norms > 0, norms, 1.0)
    state.atoms /= norms[..., None]
    for index, codes in zip(groups, packed, strict=True):
        codes *= norms[index, :, None]


def _converged(state: State, tolerance: float) -> bool:
    if len(state.objective) < 2 or state.size == 0:
        return state.size == 0
    before, now = state.objective[-2:]
    exact = 1e-15 * state.size  # nothing is left but rounding
    return before - now <= tolerance * before or now <= exact
