"""Matching of the concepts of two networks that agree on the same images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from vinfo_mpi.numerics.ridge import CONSTANT

Total = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Correlations:
    """Correlations of K concepts with M others, over all images and within classes: (K, M)."""

    whole: np.ndarray
    within_classes: np.ndarray


class CodeSums:
    """Sums over images for the correlations of K codes with M others."""

    def __init__(self, classes: int, k: int, m: int, device: torch.device | None = None) -> None:
        options = {"dtype": torch.float64, "device": device}
        self.n = torch.zeros(classes, **options)  # type: ignore[arg-type]
        self.first = torch.zeros(classes, k, **options)  # type: ignore[arg-type]
        self.second = torch.zeros(classes, m, **options)  # type: ignore[arg-type]
        self.squares = torch.zeros(k + m, **options)  # type: ignore[arg-type]
        self.cross = torch.zeros(k, m, **options)  # type: ignore[arg-type]

    @staticmethod
    def bytes(classes: int, k: int, m: int) -> int:
        """Return the bytes of the sums."""
        return 8 * (classes * (k + m + 1) + k + m + k * m)

    def add(self, first: torch.Tensor, second: torch.Tensor, labels: torch.Tensor) -> None:
        """Add images: codes (n, K) and (n, M), float64, and their classes (n,)."""
        self.n += torch.bincount(labels, minlength=len(self.n))
        self.first.index_add_(0, labels, first)
        self.second.index_add_(0, labels, second)
        self.squares += torch.cat([first.square().sum(0), second.square().sum(0)])
        self.cross += first.T @ second

    def correlations(self, total: Total) -> Correlations:
        """Return the correlations over all ranks' images; NaN of a concept that does not vary.

        Within classes the mean over each class is taken off both concepts: what two concepts share
        because both belong to a class is not in it.

        Parameters
        ----------
        total : function
            Adds a tensor over ranks.
        """
        n = total(self.n)
        filled = n > 0
        n = n[filled]
        first = total(self.first)[filled]
        second = total(self.second)[filled]
        cross = total(self.cross)
        squares = total(self.squares)
        whole = _correlation(
            n.sum(0, keepdim=True),
            first.sum(0, keepdim=True),
            second.sum(0, keepdim=True),
            cross,
            squares,
        )
        return Correlations(whole, _correlation(n, first, second, cross, squares))


def _correlation(
    n: torch.Tensor,
    first: torch.Tensor,
    second: torch.Tensor,
    cross: torch.Tensor,
    squares: torch.Tensor,
) -> np.ndarray:
    """Return correlations without the means of groups of n images with these sums."""
    covariance = cross - (first / n[:, None]).T @ second
    of_groups = torch.cat([first.square(), second.square()], 1) / n[:, None]
    variance = squares - of_groups.sum(0)
    variance = torch.where(variance > CONSTANT * squares, variance, torch.nan)
    k = len(covariance)
    size = torch.outer(variance[:k], variance[k:]).sqrt()
    return (covariance / size).clamp(-1, 1).cpu().numpy()


def best(correlations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the best partner of each of K concepts and the correlation with it.

    Parameters
    ----------
    correlations : (K, M) array

    Returns
    -------
    partner : (K,) int64 array
        -1 where the concept, or every other one, does not vary.
    correlation : (K,) float64 array
        NaN there.

    >>> best(np.array([[0.1, 0.9], [np.nan, np.nan]]))
    (array([ 1, -1]), array([0.9, nan]))
    """
    highest = np.where(np.isnan(correlations), -np.inf, correlations)
    partner = highest.argmax(1)
    value = highest[np.arange(len(highest)), partner]
    some = np.isfinite(value)
    return np.where(some, partner, -1), np.where(some, value, np.nan)
