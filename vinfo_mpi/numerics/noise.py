"""Effect of noise on values: reproducible noise for each image, variances over draws."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from vinfo_mpi.numerics.reduction import Reduce, identity
from vinfo_mpi.numerics.ridge import CONSTANT


def normal(seed: int, keys: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return standard normal noise, each of its own key alone, whatever else is drawn.

    Parameters
    ----------
    seed : int
        Another seed, other noise.
    keys : (B, n) integer array
        What each noise is for, not negative: image, level and draw.
    shape : sequence of int
        Of one noise.

    Returns
    -------
    (B, *shape) float32 array
    """
    return from_each([np.random.default_rng([seed, *key]) for key in keys.tolist()], shape)


def from_each(generators: Sequence[np.random.Generator], shape: Sequence[int]) -> np.ndarray:
    """Return standard normal noise from each generator, (B, *shape) float32.

    The threads of this rank draw at the same time: no generator knows of the others.
    """
    noises = np.empty((len(generators), *shape), np.float32)

    def draw(generator: np.random.Generator, noise: np.ndarray) -> None:
        generator.standard_normal(out=noise, dtype=np.float32)

    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        list(threads.map(draw, generators, noises))
    return noises


class Spread:
    """Sums of values and of their squares, and extremes, group by group; they add over batches.

    Parameters
    ----------
    about : (G, K) tensor
        A value close to each group's mean, which is subtracted: the closer, the less is lost to
        rounding.

    Attributes
    ----------
    sums : (2, G, K) float64 tensor
        Sums of the deviations from it, and of their squares.
    extremes : (2, G, K) float64 tensor
        The largest deviations from it, upwards and downwards.
    """

    def __init__(self, about: torch.Tensor) -> None:
        self.about = about.double()
        self.sums = torch.zeros(2, *about.shape, dtype=torch.float64, device=about.device)
        self.extremes = torch.full_like(self.sums, -torch.inf)

    def add(self, values: torch.Tensor, group: torch.Tensor) -> None:
        """Add a batch: values (B, K) and the group of each (B,) int64."""
        deviations = values.double() - self.about[group]
        self.sums[0].index_add_(0, group, deviations)
        self.sums[1].index_add_(0, group, deviations.square())
        of_value = group[:, None].expand_as(deviations)
        self.extremes[0].scatter_reduce_(0, of_value, deviations, "amax")
        self.extremes[1].scatter_reduce_(0, of_value, -deviations, "amax")

    def range(self, largest: Reduce = identity) -> torch.Tensor:
        """Return the largest less the smallest value of each group: (G, K) tensor.

        `largest` takes the maximum over the ranks.
        """
        return largest(self.extremes).sum(0)

    def variance(self, n: int, reduce: Reduce = identity) -> torch.Tensor:
        """Return the unbiased variance in each group of n values: (G, K) tensor.

        0 where it is no more than rounding. `reduce` sums over the ranks, in place.
        """
        mean, squares = reduce(self.sums) / n
        variance = squares - mean.square()
        constant = variance <= CONSTANT * (squares + self.about.square())
        return torch.where(constant, 0, variance) * (n / (n - 1))
