"""On which images concepts occur: how often codes are positive, how far classes tell them apart."""

from __future__ import annotations

import torch

from vinfo_mpi.numerics.reduction import Reduce, identity
from vinfo_mpi.numerics.ridge import CONSTANT


class Occurrence:
    """Sums of codes class by class, of their squares, and of how often they are positive.

    Attributes
    ----------
    images : (C,) float64 tensor
        Of every class.
    sums, squares, positive : (C, K), (K,), (K,) float64 tensors
    """

    def __init__(self, classes: int, concepts: int, device: torch.device | str = "cpu") -> None:
        # One buffer behind them all: a single sum over the ranks.
        self._shared = torch.zeros(
            classes + (classes + 2) * concepts, dtype=torch.float64, device=device
        )
        sizes = [classes, classes * concepts, concepts, concepts]
        self.images, sums, self.squares, self.positive = self._shared.split(sizes)
        self.sums = sums.view(classes, concepts)

    @staticmethod
    def bytes(classes: int, concepts: int) -> int:
        """Return the memory that the sums take."""
        return 8 * (classes + (classes + 2) * concepts)

    def add(self, codes: torch.Tensor, labels: torch.Tensor) -> None:
        """Add a batch: codes (B, K) and classes (B,) int64."""
        values = codes.double()
        self.images += torch.bincount(labels, minlength=len(self.images))
        self.sums.index_add_(0, labels, values)
        self.squares += values.square().sum(0)
        self.positive += (codes > 0).sum(0)

    def reduced(self, reduce: Reduce = identity) -> Occurrence:
        """Turn the sums into those of all ranks' images, in place, and return them."""
        reduce(self._shared)
        return self

    def firing_rate(self) -> torch.Tensor:
        """Return the share of the images whose code is positive: (K,)."""
        return self.positive / self.images.sum()

    def between_classes(self) -> torch.Tensor:
        """Return eta², the share of the variance that lies between the classes: (K,).

        NaN for a code that is the same for all images.
        """
        n = self.images.sum()
        about_zero = self.sums.sum(0).square() / n
        spread = self.squares - about_zero
        between = (self.sums.square() / self.images.clamp(min=1)[:, None]).sum(0) - about_zero
        share = (between / spread).clamp(0, 1)
        return torch.where(spread > CONSTANT * self.squares, share, torch.nan)
