"""Which images show a concept: those that activate it most, and some at lower levels of its activation.

Codes come in batches, of one rank or of many, and are looked at three times: for the most activating images, for how the codes
are distributed, and for the images at the levels. What is kept is a few numbers per concept, and does not depend on how the
images are divided. Codes that are not positive are no activations. Of images with equal codes the first one counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from vinfo_mpi.numerics.reduction import Sum, itself

Batches = Callable[
    [], Iterable[tuple[int, torch.Tensor]]
]  # the number of a batch's first row, and its codes (B, K); again and again
Join = Callable[[torch.Tensor], torch.Tensor]  # joins the ranks' tensors along the first axis, in the order of the ranks
PER_OCTAVE, OCTAVES = 24, 20  # bins of the distribution: 3 % wide, down to a millionth of the largest code
BLOCK = 1000  # concepts that are exchanged at a time


@dataclass
class Examples:
    """Images of every concept.

    Attributes
    ----------
    codes : (M, K) float64 tensor
        Their codes: first the largest ones, descending, then one for each level; 0 where there is no image.
    rows : (M, K) int64 tensor
        Their numbers; -1 where there is none.
    """

    codes: torch.Tensor
    rows: torch.Tensor


def choose(
    batches: Batches,
    concepts: int,
    most: int,
    levels: tuple[float, ...],
    total: Sum = itself,
    join: Join = itself,
    device: torch.device | str = "cpu",
) -> Examples:
    """Return the images that activate every concept most, and one at each level.

    Parameters
    ----------
    batches : function
        Returns this rank's batches, ascending; called three times.
    concepts, most : int
    levels : tuple of float
        Quantiles of the positive codes, 0 for the least of them. The image at a level is the one with the least code in the bin
        of the quantile: at most 3 % below it.
    total, join : functions
        Sum and join over the ranks, whose rows ascend with their number.
    """
    top = Examples(
        torch.zeros(most, concepts, dtype=torch.float64, device=device),
        torch.full((most, concepts), -1, dtype=torch.int64, device=device),
    )
    for first, codes in batches():
        rows = torch.arange(first, first + len(codes), device=device)[:, None].expand(-1, concepts)
        top = _largest(torch.cat([top.codes, codes]), torch.cat([top.rows, rows]), most)
    parts = [
        _largest(join(codes.contiguous()), join(rows.contiguous()), most)
        for codes, rows in zip(top.codes.split(BLOCK, 1), top.rows.split(BLOCK, 1), strict=True)
    ]
    top = Examples(torch.cat([part.codes for part in parts], 1), torch.cat([part.rows for part in parts], 1))
    thresholds = _thresholds(batches, top.codes[0], levels, total)
    least = Examples(torch.full_like(thresholds, torch.inf), torch.full_like(thresholds, -1, dtype=torch.int64))
    for first, codes in batches():
        for level, threshold in enumerate(thresholds):
            found, index = torch.where((codes > 0) & (codes >= threshold), codes, torch.inf).min(0)
            better = found < least.codes[level]
            least.codes[level] = torch.where(better, found, least.codes[level])
            least.rows[level] = torch.where(better, first + index, least.rows[level])
    every, rows = join(least.codes[None]), join(least.rows[None])  # (ranks, levels, K)
    codes, rank = every.min(0)
    codes = torch.where(codes.isinf(), 0.0, codes)
    return Examples(torch.cat([top.codes, codes]), torch.cat([top.rows, rows.gather(0, rank[None])[0]]))


def _largest(codes: torch.Tensor, rows: torch.Tensor, count: int) -> Examples:
    """Return the largest codes and their rows. Stable: what comes first stays first, so that zeros never replace no image."""
    codes, order = codes.sort(dim=0, descending=True, stable=True)
    return Examples(codes[:count].contiguous(), rows.gather(0, order[:count]))


def _thresholds(batches: Batches, largest: torch.Tensor, levels: tuple[float, ...], total: Sum) -> torch.Tensor:
    """Return the lower edges of the bins that the quantiles of each concept's positive codes lie in: (levels, K)."""
    exponents = torch.arange(1 - PER_OCTAVE * OCTAVES, 1, device=largest.device, dtype=torch.float64) / PER_OCTAVE
    edges = largest[:, None] * exponents.exp2()  # (K, bins): the last bin is the largest code alone
    counts = torch.zeros(len(edges), edges.shape[1] + 1, dtype=torch.int64, device=largest.device)
    for _, codes in batches():
        values = codes.T.contiguous()
        counts.scatter_add_(1, torch.searchsorted(edges, values, right=True), (values > 0).long())
    cumulated = total(counts).cumsum(1)
    ranks = (torch.tensor(levels, dtype=torch.float64, device=largest.device) * (cumulated[:, -1:] - 1).clamp(min=0)).floor()
    bins = torch.searchsorted(cumulated, ranks.long(), right=True).clamp(max=edges.shape[1])
    return torch.cat([torch.zeros_like(edges[:, :1]), edges], 1).gather(1, bins).T.contiguous()
