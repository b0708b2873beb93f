"""Distribution of each concept's codes over the images: counts in bins of equal width."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from vinfo_mpi.numerics.reduction import Reduce, identity

# Codes (B, K) of one batch after the other; again and again.
Batches = Callable[[], Iterable[torch.Tensor]]


@dataclass
class Histogram:
    """The distribution of the codes of every concept.

    Attributes
    ----------
    ends : (2, K) float64 tensor
        Where its first bin begins and its last one ends: the smallest and the largest code, with 0
        between them.
    counts : (K, bins) int64 tensor
        Images per bin, of those whose code is not 0.
    zeros : (K,) int64 tensor
        Images whose code is 0.
    """

    ends: torch.Tensor
    counts: torch.Tensor
    zeros: torch.Tensor

    def on_cpu(self) -> Histogram:
        """Return it in the processor's memory, from where single numbers are read."""
        return Histogram(self.ends.cpu(), self.counts.cpu(), self.zeros.cpu())


def histogram(
    batches: Batches,
    concepts: int,
    bins: int,
    reduce: Reduce = identity,
    largest: Reduce = identity,
    device: torch.device | str = "cpu",
) -> Histogram:
    """Return the distribution of the codes of all ranks.

    Parameters
    ----------
    batches : function
        Returns this rank's batches; called twice.
    concepts, bins : int
    reduce, largest : functions
        Sum, and largest value, over the ranks.
    """
    reach = torch.zeros(2, concepts, dtype=torch.float64, device=device)  # below 0, above 0
    for codes in batches():
        values = codes.double()
        reach = torch.maximum(reach, torch.stack([-values.amin(0), values.amax(0)]))
    below, above = largest(reach)
    width = (below + above) / bins
    counts = torch.zeros(concepts, bins + 1, dtype=torch.int64, device=device)
    for codes in batches():
        values = codes.double()
        inside = ((values + below) / torch.where(width > 0, width, 1)).floor().clamp(0, bins - 1)
        index = torch.where(values == 0, bins, inside).long().T.contiguous()
        counts.scatter_add_(1, index, torch.ones_like(index))
    reduce(counts)
    return Histogram(torch.stack([-below, above]), counts[:, :bins], counts[:, bins])
