"""Moments within classes, and of the part that classes alone explain.

Within classes, activations and codes are taken without the mean of their class. By classes alone, a
code is any other of an image of the same class: codes permuted within classes, in expectation. Both
follow from the moments of the whole and from sums class by class.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch

from vinfo_mpi.numerics.moments import Moments


@dataclass
class ClassSums:
    """Sums over the images of every class and fold; they add over batches and ranks.

    Attributes
    ----------
    n : (C, F) float64 tensor
        Images.
    x : (C, F, d) float64 tensor
        Sums of activations.
    z : (K, C, F) float64 tensor
        Sums of codes, concepts first as in `Moments`.
    """

    n: torch.Tensor
    x: torch.Tensor
    z: torch.Tensor

    @staticmethod
    def bytes(classes: int, folds: int, widths: int, concepts: int) -> int:
        """Return the memory that the sums take at taps of so many channels together."""
        return 8 * classes * folds * (1 + widths + concepts)

    def within(self, moments: Moments) -> Moments:
        """Return the moments of activations and codes without the means of their classes."""
        x_mean, z_mean = self._means()
        result = copy.copy(moments)
        result.x = moments.x - self.n.T @ x_mean
        result.z = moments.z - self.n.T @ z_mean.T
        twice = 2 * torch.einsum("kcf,kc->fk", self.z, z_mean)
        result.zz = moments.zz - twice + self.n.T @ z_mean.square().T
        result.xx = moments.xx.clone()
        result.zx = moments.zx.clone()
        for fold, (n, x) in enumerate(zip(self.n.T, self.x.unbind(1), strict=True)):
            cross = x.T @ x_mean
            weighted = n[:, None] * x_mean
            result.xx[fold] += x_mean.T @ weighted - cross - cross.T
            z = self.z[:, :, fold]
            result.zx[:, fold] += z_mean @ weighted - z @ x_mean - z_mean @ x
        return result

    def alone(self, moments: Moments) -> Moments:
        """Return the moments with codes permuted within their classes, in expectation."""
        _, z_mean = self._means()
        result = copy.copy(moments)
        result.z = self.n.T @ z_mean.T
        squares = self.n.T @ z_mean.square().T
        # The variance within classes stays, and no activation explains it.
        left = moments.zz.sum(0) - squares.sum(0)
        result.zz = squares + self.n.sum(0)[:, None] / self.n.sum() * left
        result.zx = torch.einsum("kc,cfd->kfd", z_mean, self.x)
        return result

    def _means(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean of every class: (C, d) and (K, C); 0 for one without images."""
        n = self.n.sum(1).clamp(min=1)
        return self.x.sum(1) / n[:, None], self.z.sum(2) / n
