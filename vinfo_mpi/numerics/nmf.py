"""Non-negative matrix factorisation X ≈ Z D over rows that lie on different ranks.

Rows may belong to groups (classes): every group has a dictionary of its own, all fitted together, which is one
factorisation with a block-diagonal Z. Rows and their codes never move; one iteration adds, over the ranks, the sums
[ZᵀX | ZᵀZ] of every group in one buffer, whose size does not depend on the number of rows.

HALS (Cichocki & Phan 2009, "Fast Local Algorithms for Large Scale Nonnegative Matrix and Tensor Factorizations")
updates one column of Z, one row of D at a time, exactly; with the sums of an iteration at hand it repeats its cheap
sweeps (Gillis & Glineur 2012, "Accelerated Multiplicative Updates and Hierarchical ALS Algorithms"). Rows of a factor are
improved in blocks, so that most of a sweep is matrix products: the same numbers, but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from vinfo_mpi.numerics import nndsvd
from vinfo_mpi.numerics.grouped_rows import GroupedRows
from vinfo_mpi.numerics.reduction import Sum, itself

SWEEPS = 4  # passes over the atoms per matrix product
ROWS = 16  # of a factor that are improved before the others learn of it, by one matrix product
CACHE = 2**20  # elements of a factor that are worked on at once on a CPU: few for its cache, many for the cost of a call
EPSILON = 1e-7


@dataclass
class State:
    """Where a fit stands: enough to go on from.

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


def hals(product: torch.Tensor, gram: torch.Tensor, factor: torch.Tensor, signed: bool = False) -> None:
    """Improve B in X ≈ A B in place, one row after the other, each exactly.

    Parameters
    ----------
    product : (..., k, n) tensor
        Aᵀ X.
    gram : (..., k, k) tensor
        Aᵀ A.
    factor : (..., k, n) tensor
        B; a row whose curvature is 0 stays as it is (set to 0, it would never come back).
    signed : bool
        Let B take either sign.
    """
    # Each row becomes max(0, product/curvature - (gram without its diagonal)/curvature @ B); a row without curvature
    # is its own image instead.
    curvature = gram.diagonal(dim1=-2, dim2=-1)[..., None]
    inverse = torch.where(curvature > 0, 1 / curvature, 0.0)
    weights = gram * inverse
    weights.diagonal(dim1=-2, dim2=-1).copy_(-(curvature[..., 0] <= 0).to(gram.dtype))
    if factor.ndim == 2:
        product, inverse, weights, factor = product[None], inverse[None], weights[None], factor[None]
    k = factor.shape[1]
    blocks = [slice(start, min(start + ROWS, k)) for start in range(0, k, ROWS)]
    apart = weights.clone()  # without what rows of a block have to do with each other
    for block in blocks:
        apart[:, block, block] = 0
    for groups, columns in _in_cache(factor):
        piece = factor[groups, :, columns].contiguous()
        offset = torch.mul(product[groups, :, columns], inverse[groups], out=torch.empty_like(piece))  # rows lie together in it
        _sweeps(offset, piece, weights[groups], apart[groups], blocks, signed)
        factor[groups, :, columns] = piece


def _sweeps(
    offset: torch.Tensor, factor: torch.Tensor, weights: torch.Tensor, apart: torch.Tensor, blocks: list[slice], signed: bool
) -> None:
    """Set one row of the factor after the other to max(0, offset - weights @ factor)."""
    improved = torch.empty_like(factor[:, :1])
    for _ in range(SWEEPS):
        for block in blocks:
            rest = offset[:, block] if len(blocks) == 1 else torch.baddbmm(offset[:, block], apart[:, block], factor, alpha=-1)
            together, own = weights[:, block, block], factor[:, block]
            for j in range(own.shape[1]):
                row = slice(j, j + 1)
                torch.baddbmm(rest[:, row], together[:, row], own, alpha=-1, out=improved)
                if signed:
                    own[:, row] = improved
                else:
                    torch.clamp(improved, min=0, out=own[:, row])


def _in_cache(factor: torch.Tensor) -> Iterator[tuple[slice, slice]]:
    """Yield groups and columns of a (G, k, n) factor, piece by piece; on a GPU all at once."""
    groups, k, n = factor.shape
    size = CACHE if factor.device.type == "cpu" else factor.numel()
    width = max(1, min(n, size // max(1, k)))
    count = max(1, size // max(1, k * width))
    for group in range(0, groups, count):
        for start in range(0, n, width):
            yield slice(group, group + count), slice(start, start + width)


def multiplicative(product: torch.Tensor, gram: torch.Tensor, factor: torch.Tensor, signed: bool = False) -> None:
    """Improve B in X ≈ A B in place by Lee and Seung's multiplicative update. Parameters as `hals`."""
    factor.mul_(product / (gram @ factor).clamp_(min=torch.finfo(factor.dtype).tiny))


SOLVERS = {"hals": hals, "mu": multiplicative}


def fit(
    x: torch.Tensor,
    concepts: int,
    group: torch.Tensor | None = None,
    groups: int = 1,
    *,
    solver: str = "hals",
    signed: bool = False,
    init: str = "nndsvda",
    tolerance: float = 1e-4,
    max_iterations: int = 500,
    seed: int = 0,
    reduce: Sum = itself,
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
    solver : str
        ``hals`` or ``mu``.
    signed : bool
        Let atoms take either sign; codes stay non-negative (semi-NMF).
    init : str
        Initial atoms: ``nndsvda``, or ``random``, as they also are in a group of fewer than k rows, and where k > d.
    tolerance : float
        Stop when an iteration lowers the objective by less than this share of it.
    seed : int
        For initial values; they do not depend on the division of the rows.
    reduce : function of a tensor
        Sums a tensor over the ranks, in place.
    start : State
        Go on from here instead of from the start. It gives up its codes.
    after : function of a function
        Called after every iteration, with a function that returns a copy of the state, from which a fit can start.

    Returns
    -------
    State
    """
    improve = SOLVERS[solver]
    rows, d = GroupedRows(x, group, groups), x.shape[1]
    own = torch.zeros(1, dtype=torch.float64, device=x.device)
    for block in rows.batches():
        own += block.square_().sum()
    size = reduce(own).item()
    packed_codes = torch.empty(concepts, 0, dtype=torch.float64, device=x.device)  # they lie batch by batch until the end
    if start is None:
        atoms = random_atoms(groups, concepts, d, seed).to(x.device)
        if init == "nndsvda" and concepts <= d:
            informed, count = nndsvd.atoms(rows, concepts, seed, signed, reduce)
            atoms = torch.where((count >= concepts)[:, None, None], informed, atoms)
        # Small and positive, so that the multiplicative solver can move the codes.
        packed = rows.pack(torch.full((concepts, 1), EPSILON, dtype=torch.float64, device=x.device).expand(-1, len(x)))
        state = State(atoms, packed_codes, size=size)
    else:
        packed = rows.pack(start.codes)
        state = State(start.atoms.clone(), packed_codes, list(start.objective), size)
        start.codes = start.codes[:0].clone()  # they are as large as ours

    sums = torch.zeros(groups * concepts * (d + concepts) + 2, dtype=torch.float64, device=x.device)
    products, grams = sums[:-2].split([groups * concepts * d, groups * concepts * concepts])
    products, grams = products.view(groups, concepts, d), grams.view(groups, concepts, concepts)
    while len(state.objective) < max_iterations:
        sums.zero_()
        # All ranks must stop at the same iteration, also where their processors round differently: they vote.
        sums[-2:] = torch.tensor([float(_converged(state, tolerance)), 1.0])
        for index, block, codes in zip(rows.groups, rows.batches(), packed, strict=True):
            atoms = state.atoms[index]  # (b, k, d)
            improve((block @ atoms.transpose(1, 2)).transpose(1, 2), atoms @ atoms.transpose(1, 2), codes)
            products.index_add_(0, index, codes @ block)
            grams.index_add_(0, index, codes @ codes.transpose(1, 2))
        reduce(sums)
        if sums[-2] * 2 > sums[-1]:
            break
        improve(products, grams, state.atoms, signed)
        state.objective.append(_objective(state, products, grams))
        _normalise(state, rows.groups, packed)
        if after is not None:
            after(lambda: State(state.atoms.clone(), rows.unpack(packed, concepts), list(state.objective), state.size))
    state.codes = rows.unpack(packed, concepts)
    return state


def usage(state: State, group: torch.Tensor) -> torch.Tensor:
    """Return the sum of the codes of every atom over this rank's rows: (G, k); 0 = never used."""
    total = torch.zeros(state.atoms.shape[:2], dtype=torch.float64, device=state.codes.device)
    return total.index_add_(0, group, state.codes.T)


def random_atoms(groups: int, concepts: int, d: int, seed: int) -> torch.Tensor:
    """Return random positive atoms of unit length: (G, k, d) float64."""
    atoms = torch.randn(groups, concepts, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(atoms.abs(), dim=-1)


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
