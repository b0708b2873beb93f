"""Quality of the filters of a convolution: how many are near zero, how varied, how orthogonal.

After Gavrikov & Keuper 2022, "CNN Filter DB: An Empirical Investigation of Trained Convolutional
Filters". A kernel is what one output channel has for one input channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

NEAR_ZERO = 0.01  # of the layer's largest weight, which no weight of an idle kernel exceeds
DRAWS = 20  # of random kernels
MOST = 4096  # more random kernels than these are as varied, to a thousandth
SPARSE = 0.5  # share of idle kernels from which on a layer is degenerate
UNVARIED = 0.5  # relative entropy below which it is


@dataclass(frozen=True)
class Quality:
    """Quality of the filters of one layer.

    Attributes
    ----------
    kernels : int
        How many there are.
    sparsity : float
        Share of the kernels of which no weight exceeds 1 % of the layer's largest.
    entropy : float
        Of the shares of the kernels' variance along their principal components, relative to the
        mean of as many random kernels: 0 = all alike but for a factor, 1 = like random ones.
    random : bool
        Whether it is no lower than the lowest of these random kernels.
    orthogonality : float
        1 - mean absolute cosine of two filters, all input channels of an output channel; NaN: one.
    """

    kernels: int
    sparsity: float
    entropy: float
    random: bool
    orthogonality: float

    @property
    def degenerate(self) -> bool:
        """Whether most kernels are idle, or nearly all alike, or no more than noise."""
        return self.random or self.sparsity > SPARSE or self.entropy < UNVARIED


def quality(weight: np.ndarray) -> Quality:
    """Return the quality of a layer's filters.

    Parameters
    ----------
    weight : (out, in, ...) array
        Of a convolution whose kernels have at least two numbers.
    """
    weight = weight.astype(np.float64)
    kernels = weight.reshape(weight.shape[0] * weight.shape[1], -1)
    largest = np.abs(kernels).max()
    idle = np.abs(kernels).max(1) < NEAR_ZERO * largest if largest else np.ones(len(kernels), bool)
    entropy = variance_entropy(kernels)
    mean, least = entropy_of_random(min(len(kernels), MOST), kernels.shape[1])
    return Quality(
        kernels=len(kernels),
        sparsity=float(idle.mean()),
        entropy=entropy / mean if mean else np.nan,
        random=bool(mean and entropy >= least),
        orthogonality=orthogonality(weight.reshape(len(weight), -1)),
    )


def variance_entropy(kernels: np.ndarray) -> float:
    """Return the entropy of the shares of the variance along the principal components, in nats.

    Parameters
    ----------
    kernels : (n, k) float64 array

    Returns
    -------
    float
        0 where they do not vary.
    """
    centred = kernels - kernels.mean(0)
    variance = np.linalg.eigvalsh(centred.T @ centred).clip(min=0)
    if not variance.sum():
        return 0.0
    shares = variance[variance > 0] / variance.sum()
    return float(-(shares * np.log(shares)).sum())


@cache
def entropy_of_random(n: int, size: int) -> tuple[float, float]:
    """Return the mean and the least `variance_entropy` of some draws of n normal kernels."""
    random = np.random.default_rng(0)
    drawn = [variance_entropy(random.standard_normal((n, size))) for _ in range(DRAWS)]
    return float(np.mean(drawn)), float(min(drawn))


def orthogonality(filters: np.ndarray) -> float:
    """Return 1 - the mean absolute cosine of two filters, (out, k); a filter of zeros has 0."""
    count = len(filters)
    if count < 2:
        return np.nan
    lengths = np.linalg.norm(filters, axis=1, keepdims=True)
    units = filters / np.where(lengths > 0, lengths, 1)
    cosines = np.abs(units @ units.T)
    return float(1 - (cosines.sum() - cosines.trace()) / (count * (count - 1)))
