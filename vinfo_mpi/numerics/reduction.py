"""Sums over ranks for numerics that know no ranks: functions that are handed in.

`reduce` sums a tensor over the ranks, in place, and returns it (Allreduce); `reduce_scatter` sums
and returns this rank's block of the first axis.
"""

from collections.abc import Callable

import torch

Reduce = Callable[[torch.Tensor], torch.Tensor]


def identity(values: torch.Tensor) -> torch.Tensor:
    """Return the tensor as it is: the sum over a single rank."""
    return values
