"""Initial atoms of a factorisation from singular vectors: NNDSVDa, of every group of rows.

Boutsidis & Gallopoulos 2008, "SVD based initialization: A head start for nonnegative matrix factorization".
"""

from __future__ import annotations

import torch

from vinfo_mpi.numerics.grouped_rows import GroupedRows
from vinfo_mpi.numerics.reduction import Sum

ITERATIONS, OVERSAMPLING = 6, 8  # of the subspace behind the truncated SVD
ROUNDING = 1e-9  # share of an atom's largest entry that counts as zero
LARGEST = 2**24  # elements of the products of channels with channels, of all groups
TINY = torch.finfo(torch.float64).tiny


def atoms(rows: GroupedRows, concepts: int, seed: int, signed: bool, reduce: Sum) -> tuple[torch.Tensor, torch.Tensor]:
    """Return initial atoms of unit length, the same on all ranks, for k ≤ min(rows, d).

    The dominating sign part of each right singular vector, zeros replaced by the mean of X; with `signed`, the singular
    vectors themselves.

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
    groups, d, device = rows.count, rows.x.shape[1], rows.x.device
    vectors, singular = _right_singular(rows, concepts, seed, reduce)
    signs = torch.zeros(groups, vectors.shape[2] + 1, 2, dtype=torch.float64, device=device)
    for index, block in zip(rows.groups, rows.batches(), strict=True):
        left = block @ vectors[index]  # (b, m, k), singular values times the left singular vectors
        signs[:, :-1, 0].index_add_(0, index, left.clamp(min=0).square().sum(1))
        signs[:, :-1, 1].index_add_(0, index, left.clamp(max=0).square().sum(1))
        signs[:, -1, 0].index_add_(0, index, block.sum((1, 2)))
    signs[:, -1, 1] = rows.sizes
    reduce(signs)
    total, count = signs[:, -1, 0], signs[:, -1, 1]
    left_norms = signs[:, :-1].sqrt()  # (G, k, 2)
    if signed:
        flip = torch.where(left_norms[..., 0] >= left_norms[..., 1], 1.0, -1.0)
        return torch.nn.functional.normalize(vectors.transpose(1, 2) * flip[..., None], dim=-1), count
    halves = torch.stack([vectors.clamp(min=0), vectors.clamp(max=0).neg()], dim=-1)  # (G, d, k, 2)
    right_norms = halves.norm(dim=1)  # (G, k, 2)
    mass = left_norms * right_norms / singular[..., None].clamp(min=TINY)
    side = mass.argmax(-1)  # (G, k)
    half = halves.gather(3, side[:, None, :, None].expand(-1, d, -1, 1))[..., 0].transpose(1, 2)
    norm = right_norms.gather(2, side[..., None])
    strength = (singular * mass.gather(2, side[..., None])[..., 0]).sqrt()[..., None]
    found = strength * half / norm.clamp(min=TINY)
    mean = (total / (count * d).clamp(min=1))[:, None, None]
    # Zero up to rounding, which differs with the number of ranks: a channel that is silent in a group, for instance.
    zero = found <= ROUNDING * found.amax(-1, keepdim=True)
    found = torch.where(zero, mean.clamp(min=torch.finfo(torch.float32).tiny), found)
    return torch.nn.functional.normalize(found, dim=-1), count


def products_first(groups: int, d: int, concepts: int) -> bool:
    """Whether XᵀX of every group is formed once: where that costs less than a pass over X in every iteration, and has room."""
    return d <= (ITERATIONS + 1) * min(concepts + OVERSAMPLING, d) and groups * d * d <= LARGEST


def _right_singular(rows: GroupedRows, concepts: int, seed: int, reduce: Sum) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the first right singular vectors, (G, d, k), and values, (G, k), of every group, by subspace iteration."""
    groups, d, device = rows.count, rows.x.shape[1], rows.x.device
    width = min(concepts + OVERSAMPLING, d)
    generator = torch.Generator().manual_seed(seed)
    basis = torch.randn(groups, d, width, generator=generator, dtype=torch.float64).to(device)
    products = None
    if products_first(groups, d, concepts):
        products = torch.zeros(groups, d, d, dtype=torch.float64, device=device)
        for index, block in zip(rows.groups, rows.batches(), strict=True):
            products.index_add_(0, index, block.transpose(1, 2) @ block)
        reduce(products)
    for step in range(ITERATIONS + 1):
        if products is not None:
            image = products @ basis
        else:
            image = torch.zeros(basis.shape, dtype=torch.float64, device=device)  # XᵀX times the basis
            for index, block in zip(rows.groups, rows.batches(), strict=True):
                image.index_add_(0, index, ((block @ basis[index]).transpose(1, 2) @ block).transpose(1, 2))
            reduce(image)
        if step < ITERATIONS:
            basis = torch.linalg.qr(image).Q
    squares, rotation = torch.linalg.eigh(basis.transpose(1, 2) @ image)
    vectors = (basis @ rotation).flip(2)[:, :, :concepts]  # largest first
    return vectors, squares.flip(1)[:, :concepts].clamp(min=0).sqrt()
