"""Example images of a concept: those that activate it most, and some at lower levels.

Codes come in batches, of one rank or of many, and are looked at three times: for the most
activating images, for how the codes are distributed, and for the images at the levels. What is kept
is a few numbers per concept, and does not depend on how the images are divided. Codes that are not
positive are no activations. Of images with equal codes the first one counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from vinfo_mpi.numerics.reduction import Reduce, identity

# The number of a batch's first row, and its codes (B, K); again and again.
Batches = Callable[[], Iterable[tuple[int, torch.Tensor]]]
# Joins the ranks' tensors along the first axis, in the order of the ranks.
Allgather = Callable[[torch.Tensor], torch.Tensor]

# Bins of the distribution: 3 % wide, down to a millionth of the largest code.
PER_OCTAVE = 24
OCTAVES = 20
BLOCK = 1000  # concepts that are exchanged at a time


@dataclass
class Examples:
    """Images of every concept.

    Attributes
    ----------
    codes : (M, K) float64 tensor
        Their codes: first the largest ones, descending, then one for each level; 0 where there is
        no image.
    rows : (M, K) int64 tensor
        Their numbers; -1 where there is none.
    """

    codes: torch.Tensor
    rows: torch.Tensor


def choose(
    batches: Batches,
    concepts: int,
    count: int,
    levels: tuple[float, ...],
    reduce: Reduce = identity,
    allgather: Allgather = identity,
    device: torch.device | str = "cpu",
) -> Examples:
    """Return the images that activate every concept most, and one at each level.

    Parameters
    ----------
    batches : function
        Returns this rank's batches, ascending; called three times.
    concepts, count : int
        Concepts, and most activating images of each.
    levels : tuple of float
        Quantiles of the positive codes, 0 for the least of them. The image at a level is the one
        with the least code in the bin of the quantile: at most 3 % below it.
    reduce, allgather : functions
        Sum and join over the ranks, whose rows ascend with their number.
    """
    strongest = most_activating(batches, concepts, count, allgather, device)
    thresholds = _thresholds(batches, strongest.codes[0], levels, reduce)
    at_levels = _least_above(batches, thresholds, allgather)
    return Examples(
        torch.cat([strongest.codes, at_levels.codes]),
        torch.cat([strongest.rows, at_levels.rows]),
    )


def most_activating(
    batches: Batches,
    concepts: int,
    count: int,
    allgather: Allgather,
    device: torch.device | str,
) -> Examples:
    """Return the images with the largest codes of all ranks; parameters as those of `choose`."""
    top = Examples(
        torch.zeros(count, concepts, dtype=torch.float64, device=device),
        torch.full((count, concepts), -1, dtype=torch.int64, device=device),
    )
    for first, codes in batches():
        rows = torch.arange(first, first + len(codes), device=device)[:, None].expand(-1, concepts)
        top = _largest(torch.cat([top.codes, codes]), torch.cat([top.rows, rows]), count)
    blocks = zip(top.codes.split(BLOCK, 1), top.rows.split(BLOCK, 1), strict=True)
    of_all_ranks = [
        _largest(allgather(codes.contiguous()), allgather(rows.contiguous()), count)
        for codes, rows in blocks
    ]
    return Examples(
        torch.cat([block.codes for block in of_all_ranks], 1),
        torch.cat([block.rows for block in of_all_ranks], 1),
    )


def _least_above(batches: Batches, thresholds: torch.Tensor, allgather: Allgather) -> Examples:
    """Return the images of all ranks with the least positive code not below each threshold."""
    least = Examples(
        torch.full_like(thresholds, torch.inf), torch.full_like(thresholds, -1, dtype=torch.int64)
    )
    for first, codes in batches():
        for level, threshold in enumerate(thresholds):
            smallest, index = _above(codes, threshold).min(0)
            better = smallest < least.codes[level]
            least.codes[level] = torch.where(better, smallest, least.codes[level])
            least.rows[level] = torch.where(better, first + index, least.rows[level])
    codes_of_ranks = allgather(least.codes[None])  # (ranks, levels, K)
    rows_of_ranks = allgather(least.rows[None])
    codes, rank = codes_of_ranks.min(0)
    codes = torch.where(codes.isinf(), 0.0, codes)
    return Examples(codes, rows_of_ranks.gather(0, rank[None])[0])


def _above(codes: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
    """Return positive codes that are not below the threshold of their concept, else infinity."""
    return torch.where((codes > 0) & (codes >= threshold), codes, torch.inf)


def _largest(codes: torch.Tensor, rows: torch.Tensor, count: int) -> Examples:
    """Return the largest codes and their rows.

    Stable: what comes first stays first, so that zeros never replace no image.
    """
    codes, order = codes.sort(dim=0, descending=True, stable=True)
    return Examples(codes[:count].contiguous(), rows.gather(0, order[:count]))


def _thresholds(
    batches: Batches, largest: torch.Tensor, levels: tuple[float, ...], reduce: Reduce
) -> torch.Tensor:
    """Return the lower edges of the bins of the quantiles of positive codes: (levels, K)."""
    device = largest.device
    steps = torch.arange(1 - PER_OCTAVE * OCTAVES, 1, device=device, dtype=torch.float64)
    # (K, bins): the last bin is the largest code alone.
    edges = largest[:, None] * (steps / PER_OCTAVE).exp2()
    counts = torch.zeros(len(edges), edges.shape[1] + 1, dtype=torch.int64, device=device)
    for _, codes in batches():
        values = codes.T.contiguous()
        counts.scatter_add_(1, torch.searchsorted(edges, values, right=True), (values > 0).long())
    cumulated = reduce(counts).cumsum(1)
    quantiles = torch.tensor(levels, dtype=torch.float64, device=device)
    ranks = (quantiles * (cumulated[:, -1:] - 1).clamp(min=0)).floor()
    bins = torch.searchsorted(cumulated, ranks.long(), right=True).clamp(max=edges.shape[1])
    return torch.cat([torch.zeros_like(edges[:, :1]), edges], 1).gather(1, bins).T.contiguous()
