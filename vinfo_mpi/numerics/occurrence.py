"""On which images concepts occur: how often codes are positive, how far classes tell them apart.

And how evenly all concepts are used.
"""

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

    def mean(self) -> torch.Tensor:
        """Return the mean code over the images: (K,)."""
        return self.sums.sum(0) / self.images.sum()

    def effective_concepts(self) -> torch.Tensor:
        """Return exp H(p) of the concepts' shares p of the sum of all codes, a scalar.

        It is the number of concepts that would be as even if they had equal shares; NaN where a
        concept's mean code is below 0, or all are 0.
        """
        shares = self.mean() / self.mean().sum()
        return torch.where((shares >= 0).all(), torch.special.entr(shares).sum().exp(), torch.nan)

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
