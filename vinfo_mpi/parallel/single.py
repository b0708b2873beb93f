"""One rank without MPI: the methods of `Ranks` that functions on arrays call.

A program that never asks for MPI does not load it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import numpy as np
import torch

T = TypeVar("T")


class Single:
    """The only rank. See `vinfo_mpi.parallel.ranks.Ranks` for the methods."""

    rank = 0
    size = 1

    def block(self, total: int) -> range:
        """Return all of ``range(total)``."""
        return range(total)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Return the tensor as it is."""
        return values

    def reduce_scatter(self, values: torch.Tensor) -> torch.Tensor:
        """Return the tensor as it is."""
        return values

    def broadcast(self, values: torch.Tensor, root: int) -> torch.Tensor:
        """Return the tensor as it is."""
        return values

    def concatenate(self, values: np.ndarray, axis: int = 0) -> np.ndarray:
        """Return the array as it is."""
        return values

    def allgather(self, value: T) -> list[T]:
        """Return the value alone."""
        return [value]

    def any(self, flag: bool) -> bool:
        """Return the flag."""
        return bool(flag)

    def together(self) -> AbstractContextManager[None]:
        """Let errors pass."""
        return nullcontext()
