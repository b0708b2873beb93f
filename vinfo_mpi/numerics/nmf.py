"""Non-negative matrix factorisation X ≈ Z D over rows that lie on different ranks.

Rows may belong to groups (classes): every group has a dictionary of its own, all fitted together, which is one
factorisation with a block-diagonal Z. Rows and their codes never move; one iteration adds, over the ranks, the sums
[ZᵀX | ZᵀZ] of every group in one buffer, whose size does not depend on the number of rows.

HALS (Cichocki & Phan 2009, "Fast Local Algorithms for Large Scale Nonnegative Matrix and Tensor Factorizations")
updates one column of Z, one row of D at a time, exactly; with the sums of an iteration at hand it repeats its cheap
sweeps (Gillis & Glineur 2012, "Accelerated Multiplicative Updates and Hierarchical ALS Algorithms").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from vinfo_mpi.numerics.sums import Sum, itself

SWEEPS = 4  # passes over the atoms per matrix product
EPSILON = 1e-7
ROUNDING = 1e-9  # share of an atom's largest entry that counts as zero
BLOCK = 2**14  # rows that are worked on at once: what bounds the memory beside X and Z
SUBSPACE_ITERATIONS, OVERSAMPLING = 6, 8  # of the truncated SVD behind the initial atoms


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
    offset = product * inverse
    others = gram * inverse
    others.diagonal(dim1=-2, dim2=-1).copy_(-(curvature[..., 0] <= 0).to(gram.dtype))
    if factor.ndim == 2:
        offset, others, factor = offset[None], others[None], factor[None]
    for _ in range(SWEEPS):
        for j in range(factor.shape[1]):
            row = slice(j, j + 1)
            improved = torch.baddbmm(offset[:, row], others[:, row], factor, alpha=-1)
            factor[:, row] = improved if signed else improved.clamp_(min=0)


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
    order = torch.arange(len(x), device=x.device) if group is None else torch.argsort(group, stable=True)
    x = x if group is None else x[order]
    parts = _parts(len(x), groups, group)
    d = x.shape[1]
    own = torch.zeros(1, dtype=torch.float64, device=x.device)
    for _, rows in parts:
        own += x[rows].double().square().sum()
    size = reduce(own).item()
    if start is None:
        atoms = random_atoms(groups, concepts, d, seed).to(x.device)
        if init == "nndsvda" and concepts <= d:
            informed, count = nndsvda(x, parts, groups, concepts, seed, signed, reduce)
            atoms = torch.where((count >= concepts)[:, None, None], informed, atoms)
        # Small and positive, so that the multiplicative solver can move the codes.
        codes = torch.full((concepts, len(x)), EPSILON, dtype=torch.float64, device=x.device)
        state = State(atoms, codes, size=size)
    else:
        state = State(start.atoms.clone(), start.codes[:, order], list(start.objective), size)
        start.codes = start.codes[:0].clone()  # they are as large as ours

    sums = torch.zeros(groups * concepts * (d + concepts) + 2, dtype=torch.float64, device=x.device)
    products, grams = sums[:-2].split([groups * concepts * d, groups * concepts * concepts])
    products, grams = products.view(groups, concepts, d), grams.view(groups, concepts, concepts)
    while len(state.objective) < max_iterations:
        sums.zero_()
        # All ranks must stop at the same iteration, also where their processors round differently: they vote.
        sums[-2:] = torch.tensor([float(_converged(state, tolerance)), 1.0])
        for index, rows in parts:
            block, codes, atoms = x[rows].double(), state.codes[:, rows], state.atoms[index]
            improve(atoms @ block.T, atoms @ atoms.T, codes)
            products[index].addmm_(codes, block)
            grams[index].addmm_(codes, codes.T)
        reduce(sums)
        if sums[-2] * 2 > sums[-1]:
            break
        improve(products, grams, state.atoms, signed)
        state.objective.append(_objective(state, products, grams))
        _normalise(state, parts)
        if after is not None:
            after(lambda: State(state.atoms.clone(), state.codes[:, torch.argsort(order)], list(state.objective), state.size))
    state.codes = state.codes[:, torch.argsort(order)]
    return state


def usage(state: State, group: torch.Tensor) -> torch.Tensor:
    """Return the sum of the codes of every atom over this rank's rows: (G, k); 0 = never used."""
    total = torch.zeros(state.atoms.shape[:2], dtype=torch.float64, device=state.codes.device)
    return total.index_add_(0, group, state.codes.T)


def random_atoms(groups: int, concepts: int, d: int, seed: int) -> torch.Tensor:
    """Return random positive atoms of unit length: (G, k, d) float64."""
    atoms = torch.randn(groups, concepts, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(atoms.abs(), dim=-1)


def nndsvda(
    x: torch.Tensor,
    parts: list[tuple[int, slice]],
    groups: int,
    concepts: int,
    seed: int,
    signed: bool,
    reduce: Sum,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return initial atoms of unit length, the same on all ranks, for k ≤ min(rows, d): NNDSVDa.

    The dominating sign part of each right singular vector, zeros replaced by the mean of X (Boutsidis & Gallopoulos
    2008). The singular vectors come from subspace iteration, so that only (d, k) blocks are summed over ranks. With
    `signed`, the singular vectors themselves.

    Returns
    -------
    atoms : (G, k, d) float64 tensor
    count : (G,) float64 tensor
        Rows of each group on all ranks; with fewer than k of them, its atoms are worth nothing.
    """
    d = x.shape[1]
    width = min(concepts + OVERSAMPLING, d)
    generator = torch.Generator().manual_seed(seed)
    basis = torch.randn(groups, d, width, generator=generator, dtype=torch.float64).to(x.device)

    for step in range(SUBSPACE_ITERATIONS + 1):
        image = torch.zeros(basis.shape, dtype=torch.float64, device=x.device)  # XᵀX times the basis
        for index, rows in parts:
            block = x[rows].double()
            image[index].addmm_(block.T, block @ basis[index])
        reduce(image)
        if step < SUBSPACE_ITERATIONS:
            basis = torch.linalg.qr(image).Q
    squares, rotation = torch.linalg.eigh(basis.transpose(1, 2) @ image)
    vectors = (basis @ rotation).flip(2)[:, :, :concepts]  # (G, d, k), largest first
    singular = squares.flip(1)[:, :concepts].clamp(min=0).sqrt()

    signs = torch.zeros(groups, vectors.shape[2] + 1, 2, dtype=torch.float64, device=x.device)
    for index, rows in parts:
        left = x[rows].double() @ vectors[index]  # (rows, k), singular values times the left singular vectors
        signs[index, :-1, 0] += left.clamp(min=0).square().sum(0)
        signs[index, :-1, 1] += left.clamp(max=0).square().sum(0)
        signs[index, -1, 0] += x[rows].sum(dtype=torch.float64)
        signs[index, -1, 1] += len(left)
    reduce(signs)
    total, count = signs[:, -1, 0], signs[:, -1, 1]
    left_norms = signs[:, :-1].sqrt()  # (G, k, 2)
    if signed:
        flip = torch.where(left_norms[..., 0] >= left_norms[..., 1], 1.0, -1.0)
        atoms = vectors.transpose(1, 2) * flip[..., None]
    else:
        halves = torch.stack([vectors.clamp(min=0), vectors.clamp(max=0).neg()], dim=-1)  # (G, d, k, 2)
        right_norms = halves.norm(dim=1)  # (G, k, 2)
        mass = left_norms * right_norms / singular[..., None].clamp(min=torch.finfo(torch.float64).tiny)
        side = mass.argmax(-1)  # (G, k)
        half = halves.gather(3, side[:, None, :, None].expand(-1, d, -1, 1))[..., 0].transpose(1, 2)
        norm = right_norms.gather(2, side[..., None])
        strength = (singular * mass.gather(2, side[..., None])[..., 0]).sqrt()[..., None]
        atoms = strength * half / norm.clamp(min=torch.finfo(torch.float64).tiny)
        mean = (total / (count * d).clamp(min=1))[:, None, None]
        # Zero up to rounding, which differs with the number of ranks: a channel that is silent in a group, for instance.
        zero = atoms <= ROUNDING * atoms.amax(-1, keepdim=True)
        atoms = torch.where(zero, mean.clamp(min=torch.finfo(torch.float32).tiny), atoms)
    return torch.nn.functional.normalize(atoms, dim=-1), count


def _parts(rows: int, groups: int, group: torch.Tensor | None) -> list[tuple[int, slice]]:
    """Return the groups present among sorted rows, each with its rows, cut into blocks."""
    ends = [rows] if group is None else torch.bincount(group, minlength=groups).cumsum(0).tolist()
    starts = [0, *ends[:-1]]
    return [
        (index, slice(first, min(first + BLOCK, end)))
        for index, (start, end) in enumerate(zip(starts, ends, strict=True))
        for first in range(start, end, BLOCK)
    ]


def _objective(state: State, products: torch.Tensor, grams: torch.Tensor) -> float:
    """Return ||X||² - 2 tr(D XᵀZ) + tr(ZᵀZ D Dᵀ): exact, from sums alone."""
    crossed = (state.atoms * products).sum()
    squared = (grams * (state.atoms @ state.atoms.transpose(1, 2))).sum()
    return max(0.0, (state.size - 2 * crossed + squared).item())


def _normalise(state: State, parts: list[tuple[int, slice]]) -> None:
    norms = state.atoms.norm(dim=-1)  # (G, k)
    norms = torch.where(norms > 0, norms, 1.0)
    state.atoms /= norms[..., None]
    for index, rows in parts:
        state.codes[:, rows] *= norms[index, :, None]


def _converged(state: State, tolerance: float) -> bool:
    if len(state.objective) < 2 or state.size == 0:
        return state.size == 0
    before, now = state.objective[-2:]
    exact = 1e-15 * state.size  # nothing is left but rounding
    return before - now <= tolerance * before or now <= exact
