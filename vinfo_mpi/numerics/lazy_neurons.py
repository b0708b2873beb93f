"""Sparsity of hidden units: Li et al. 2023, "The Lazy Neuron Phenomenon".

Of every layer: the share of values that are not zero, and of those above zero; the share of units
that hold nearly all of a position's energy; how often each unit fires.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

ENERGY = 0.99  # of the sum of squares, that the effective units hold
POSITIONS = 16  # of each image, at most, evenly spaced, whose units are sorted for that
QUANTITIES = ("units_nonzero", "positive", "effective")
QUANTILES = np.linspace(0, 1, 21)  # of the firing rates of a layer's units


@dataclass(frozen=True)
class Lazy:
    """Statistics of one layer over the images.

    Attributes
    ----------
    mean, error : dict of str to float
        By quantity: mean over the images and its standard error.
    rates : (21,) float64 array
        Quantiles of the units' firing rates: shares of all positions of all images where a unit is
        above zero.
    dead : float
        Share of the units that never are.
    """

    mean: dict[str, float]
    error: dict[str, float]
    rates: np.ndarray
    dead: float


class LayerSums:
    """Sums over the images of one layer; they add over batches and ranks.

    Parameters
    ----------
    sums : (7 + units,) float64 tensor
        Zeros, which are added to, in place: images; sums of the quantities and of their squares;
        the firing rates in each image, added.
    """

    def __init__(self, sums: torch.Tensor) -> None:
        self.sums = sums

    @staticmethod
    def size(units: int) -> int:
        """Return how many numbers are added."""
        return 1 + 2 * len(QUANTITIES) + units

    def add(self, values: torch.Tensor) -> None:
        """Add a batch: (B, P, units) of P positions."""
        _, positions, units = values.shape
        # Ones and zeros as numbers: truth values are counted several times more slowly.
        ones = torch.empty_like(values, dtype=torch.float32)
        nonzero = torch.ne(values, 0, out=ones).sum((1, 2), dtype=torch.float64)
        rates = torch.gt(values, 0, out=ones).sum(1).double() / positions  # (B, units)
        some = values[:, :: -(-positions // POSITIONS)]
        of_images = torch.stack(
            [
                nonzero / (positions * units),
                rates.mean(1),
                effective(some).mean(1),
            ]
        )
        self.sums[0] += len(values)
        self.sums[1:4] += of_images.sum(1)
        self.sums[4:7] += of_images.square().sum(1)
        self.sums[7:] += rates.sum(0)

    def summary(self) -> Lazy:
        """Return what they say, when they are those of all images."""
        sums = self.sums.cpu().numpy()
        n = sums[0]
        mean = sums[1:4] / n
        error = np.sqrt((sums[4:7] / n - mean**2).clip(0) / (n - 1)) if n > 1 else mean * np.nan
        rates = sums[7:] / n
        return Lazy(
            dict(zip(QUANTITIES, mean.tolist(), strict=True)),
            dict(zip(QUANTITIES, error.tolist(), strict=True)),
            np.quantile(rates, QUANTILES),
            float((rates == 0).mean()),
        )


def effective(values: torch.Tensor) -> torch.Tensor:
    """Return the share of units that it takes to hold 99 % of the energy.

    0 where all are zero: (..., units) to (...) float64.
    """
    squares = values.double().square().sort(-1, descending=True).values
    energy = squares.cumsum(-1)
    total = energy[..., -1:]
    fewer = (energy < ENERGY * total).sum(-1)  # so many do not hold it yet
    units = values.shape[-1]
    return torch.where(total[..., 0] > 0, (fewer + 1).double() / units, 0.0)


def keep_largest(values: torch.Tensor, share: float, axis: int) -> torch.Tensor:
    """Return the values with all but the largest along an axis set to 0; at least one is kept."""
    count = max(1, round(share * values.shape[axis]))
    largest = values.topk(count, dim=axis)
    return torch.zeros_like(values).scatter(axis, largest.indices, largest.values)


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """Return the expected calibration error: |confidence - accuracy|, by bins of the confidence.

    Of Guo et al. 2017, "On calibration of modern neural networks".

    Parameters
    ----------
    confidence : (N,) array
        Probability of the predicted class.
    right : (N,) bool array
    bins : int
        Of equal width.
    """
    number = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(number, confidence, bins) - np.bincount(number, right, bins)
    return float(abs(gaps).sum() / len(confidence))
