"""Updates of one factor of X ≈ A B while the other is fixed: HALS, multiplicative.

HALS (Cichocki & Phan 2009, "Fast Local Algorithms for Large Scale Nonnegative Matrix and Tensor
Factorizations") updates one column of A, one row of B at a time, exactly; with the sums of an
iteration at hand it repeats its cheap sweeps (Gillis & Glineur 2012, "Accelerated Multiplicative
Updates and Hierarchical ALS Algorithms"). Rows of a factor are improved in blocks, so that most of
a sweep is matrix products: the same numbers, but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

SWEEPS = 4  # passes over the atoms per matrix product
ROWS = 16  # of a factor that are improved before the others learn of it, by one matrix product
# Elements of a factor that are worked on at once on a CPU: few for its cache, many for the cost of
# a call.
CACHE = 2**20


def hals(
    product: torch.Tensor, gram: torch.Tensor, factor: torch.Tensor, signed: bool = False
) -> None:
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
    # Each row becomes max(0, product/curvature - (gram without its diagonal)/curvature @ B); a row
    # without curvature is its own image instead.
    curvature = gram.diagonal(dim1=-2, dim2=-1)[..., None]
    inverse = torch.where(curvature > 0, 1 / curvature, 0.0)
    weights = gram * inverse
    weights.diagonal(dim1=-2, dim2=-1).copy_(-(curvature[..., 0] <= 0).to(gram.dtype))
    if factor.ndim == 2:
        product = product[None]
        inverse = inverse[None]
        weights = weights[None]
        factor = factor[None]
    k = factor.shape[1]
    blocks = [slice(start, min(start + ROWS, k)) for start in range(0, k, ROWS)]
    across_blocks = weights.clone()  # without what rows of a block have to do with each other
    for block in blocks:
        across_blocks[:, block, block] = 0
    for groups, columns in _in_cache(factor):
        piece = factor[groups, :, columns].contiguous()
        offset = torch.empty_like(piece)  # rows lie together in it
        torch.mul(product[groups, :, columns], inverse[groups], out=offset)
        _sweeps(offset, piece, weights[groups], across_blocks[groups], blocks, signed)
        factor[groups, :, columns] = piece


def _sweeps(
    offset: torch.Tensor,
    factor: torch.Tensor,
    weights: torch.Tensor,
    across_blocks: torch.Tensor,
    blocks: list[slice],
    signed: bool,
) -> None:
    """Set one row of the factor after the other to max(0, offset - weights @ factor)."""
    improved = torch.empty_like(factor[:, :1])
    for _ in range(SWEEPS):
        for block in blocks:
            rest = offset[:, block]
            if len(blocks) > 1:
                rest = torch.baddbmm(rest, across_blocks[:, block], factor, alpha=-1)
            weights_of_block = weights[:, block, block]
            rows = factor[:, block]
            for j in range(rows.shape[1]):
                row = slice(j, j + 1)
                torch.baddbmm(rest[:, row], weights_of_block[:, row], rows, alpha=-1, out=improved)
                if signed:
                    rows[:, row] = improved
                else:
                    torch.clamp(improved, min=0, out=rows[:, row])


def _in_cache(factor: torch.Tensor) -> Iterator[tuple[slice, slice]]:
    """Yield groups and columns of a (G, k, n) factor, piece by piece; on a GPU all at once."""
    groups, k, n = factor.shape
    size = CACHE if factor.device.type == "cpu" else factor.numel()
    width = max(1, min(n, size // max(1, k)))
    count = max(1, size // max(1, k * width))
    for group in range(0, groups, count):
        for start in range(0, n, width):
            yield slice(group, group + count), slice(start, start + width)


def multiplicative(
    product: torch.Tensor, gram: torch.Tensor, factor: torch.Tensor, signed: bool = False
) -> None:
    """Improve B in X ≈ A B in place by Lee and Seung's multiplicative update.

    Parameters as `hals`.
    """
    factor.mul_(product / (gram @ factor).clamp_(min=torch.finfo(factor.dtype).tiny))


SOLVERS = {"hals": hals, "mu": multiplicative}
