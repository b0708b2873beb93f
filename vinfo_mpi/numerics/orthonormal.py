"""Orthonormal bases of the columns of many matrices at once."""

from __future__ import annotations

import torch

PASSES = 2  # of Gram-Schmidt: after one, nearly dependent columns are not orthogonal enough
TINY = torch.finfo(torch.float64).tiny


def orthonormal(matrices: torch.Tensor) -> torch.Tensor:
    """Return orthonormal bases of the columns: (G, d, w) float64 tensor, w ≤ d.

    On a GPU, whose QR decompositions take many matrices one after the other, by Gram-Schmidt. A
    column there that is a sum of earlier ones gives noise, or zeros.
    """
    return _gram_schmidt(matrices) if matrices.is_cuda else torch.linalg.qr(matrices).Q


def _gram_schmidt(matrices: torch.Tensor) -> torch.Tensor:
    columns = matrices.mT.contiguous()  # (G, w, d): a column lies together
    for number in range(columns.shape[1]):
        vector = columns[:, number]
        for _ in range(PASSES):
            vector /= vector.norm(dim=1, keepdim=True).clamp(min=TINY)
            earlier = columns[:, :number]
            shares = torch.einsum("gid,gd->gi", earlier, vector)
            vector -= torch.einsum("gid,gi->gd", earlier, shares)
        vector /= vector.norm(dim=1, keepdim=True).clamp(min=TINY)
    return columns.mT
