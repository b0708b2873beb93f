"""Initial atoms of a factorisation from singular vectors: NNDSVDa, of every group of rows.

Boutsidis & Gallopoulos 2008, "SVD based initialization: A head start for nonnegative matrix
factorization".
"""

from __future__ import annotations

import torch
from torch.nn.functional import normalize

from vinfo_mpi.numerics.grouped_rows import GroupedRows
from vinfo_mpi.numerics.orthonormal import orthonormal
from vinfo_mpi.numerics.reduction import Reduce

# Of the subspace behind the truncated SVD.
ITERATIONS = 6
OVERSAMPLING = 8
ROUNDING = 1e-9  # share of an atom's largest entry that counts as zero
LARGEST = 2**24  # elements of the products of channels with channels, of all groups
TINY = torch.finfo(torch.float64).tiny
TINY_FLOAT32 = torch.finfo(torch.float32).tiny


def atoms(
    rows: GroupedRows, concepts: int, seed: int, signed: bool, reduce: Reduce
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return initial atoms of unit length, the same on all ranks, for k ≤ min(rows, d).

    The dominating sign part of each right singular vector, zeros replaced by the mean of X; with
    `signed`, the singular vectors themselves.

    Parameters
    ----------
    rows : GroupedRows
        This rank's rows.
    concepts : int
        Atoms k of every group.
    seed : int
        Of the subspace that the iteration starts from.
    reduce : function of a tensor
        Sums a tensor over the ranks, in place.

    Returns
    -------
    atoms : (G, k, d) float64 tensor
    count : (G,) float64 tensor
        Rows of each group on all ranks; with fewer than k of them, its atoms are worth nothing.
    """
    d = rows.x.shape[1]
    vectors, singular = _right_singular(rows, concepts, seed, reduce)
    signs = _squares_by_sign(rows, vectors, reduce)
    total = signs[:, -1, 0]
    count = signs[:, -1, 1]
    left_norms = signs[:, :-1].sqrt()  # (G, k, 2)
    if signed:
        flip = torch.where(left_norms[..., 0] >= left_norms[..., 1], 1.0, -1.0)
        return normalize(vectors.transpose(1, 2) * flip[..., None], dim=-1), count
    halves = torch.stack([vectors.clamp(min=0), vectors.clamp(max=0).neg()], dim=-1)  # (G, d, k, 2)
    right_norms = halves.norm(dim=1)  # (G, k, 2)
    mass = left_norms * right_norms / singular[..., None].clamp(min=TINY)
    side = mass.argmax(-1)  # (G, k)
    half = halves.gather(3, side[:, None, :, None].expand(-1, d, -1, 1))[..., 0].transpose(1, 2)
    norm = right_norms.gather(2, side[..., None])
    strength = (singular * mass.gather(2, side[..., None])[..., 0]).sqrt()[..., None]
    dominating = strength * half / norm.clamp(min=TINY)
    mean = (total / (count * d).clamp(min=1))[:, None, None]
    # Zero up to rounding, which differs with the number of ranks: a channel that is silent in a
    # group, for instance.
    zero = dominating <= ROUNDING * dominating.amax(-1, keepdim=True)
    dominating = torch.where(zero, mean.clamp(min=TINY_FLOAT32), dominating)
    return normalize(dominating, dim=-1), count


def products_first(groups: int, d: int, concepts: int) -> bool:
    """Whether XᵀX of every group is formed once, instead of a pass over X in every iteration.

    Where it costs less, and has room.
    """
    return d <= (ITERATIONS + 1) * min(concepts + OVERSAMPLING, d) and groups * d * d <= LARGEST


def _squares_by_sign(rows: GroupedRows, vectors: torch.Tensor, reduce: Reduce) -> torch.Tensor:
    """Return squared sizes of the positive and negative halves of left singular vectors.

    They are those of the left singular vectors times the singular values. (G, k + 1, 2); in the
    last row the sum of X, and the number of its rows.
    """
    groups, _, k = vectors.shape
    signs = torch.zeros(groups, k + 1, 2, dtype=torch.float64, device=vectors.device)
    for index, block in zip(rows.groups, rows.batches(), strict=True):
        left = block @ vectors[index]  # (b, m, k)
        signs[:, :-1, 0].index_add_(0, index, left.clamp(min=0).square().sum(1))
        signs[:, :-1, 1].index_add_(0, index, left.clamp(max=0).square().sum(1))
        signs[:, -1, 0].index_add_(0, index, block.sum((1, 2)))
    signs[:, -1, 1] = rows.sizes
    return reduce(signs)


def _right_singular(
    rows: GroupedRows, concepts: int, seed: int, reduce: Reduce
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the first right singular vectors, (G, d, k), and values, (G, k), of every group.

    By subspace iteration. The largest entry of a vector is positive, so that ranks with different
    devices, which may find the opposite vector, add up the same halves.
    """
    groups = rows.count
    d = rows.x.shape[1]
    width = min(concepts + OVERSAMPLING, d)
    generator = torch.Generator().manual_seed(seed)
    basis = torch.randn(groups, d, width, generator=generator, dtype=torch.float64)
    basis = basis.to(rows.x.device)
    products = _products(rows, reduce) if products_first(groups, d, concepts) else None
    for step in range(ITERATIONS + 1):
        image = _image(rows, basis, reduce) if products is None else products @ basis
        if step < ITERATIONS:
            basis = orthonormal(image)
    squares, rotation = torch.linalg.eigh(basis.transpose(1, 2) @ image)
    vectors = (basis @ rotation).flip(2)[:, :, :concepts]  # largest first
    vectors = vectors * vectors.gather(1, vectors.abs().argmax(1, keepdim=True)).sign()
    return vectors, squares.flip(1)[:, :concepts].clamp(min=0).sqrt()


def _products(rows: GroupedRows, reduce: Reduce) -> torch.Tensor:
    """Return XᵀX of every group: (G, d, d)."""
    d = rows.x.shape[1]
    products = torch.zeros(rows.count, d, d, dtype=torch.float64, device=rows.x.device)
    for index, block in zip(rows.groups, rows.batches(), strict=True):
        products.index_add_(0, index, block.transpose(1, 2) @ block)
    return reduce(products)


def _image(rows: GroupedRows, basis: torch.Tensor, reduce: Reduce) -> torch.Tensor:
    """Return XᵀX of every group times its basis: (G, d, width)."""
    image = torch.zeros(basis.shape, dtype=torch.float64, device=basis.device)
    for index, block in zip(rows.groups, rows.batches(), strict=True):
        image.index_add_(0, index, _image_of(block, basis[index]))
    return reduce(image)


def _image_of(block: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
    """Return XᵀX times the basis for each segment of a block."""
    return ((block @ basis).transpose(1, 2) @ block).transpose(1, 2)
