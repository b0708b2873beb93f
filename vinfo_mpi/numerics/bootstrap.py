"""Standard errors over concepts, from the bootstrap over the clusters that they belong to.

A draw (Efron 1979, "Bootstrap Methods: Another Look at the Jackknife") is as many clusters as there
are, taken with replacement, each with all its concepts (Davison & Hinkley 1997, "Bootstrap Methods
and Their Application", 3.8): concepts of a class are alike, and 300 of them are worth less than 300
of as many classes. A draw is held as how often each concept was taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

BLOCK = 2**18  # draws times concepts that are worked on at once
DRAWS = 1000
FEWEST = 5  # clusters: the spread of fewer says little

# From (n,) values of several quantities and (B, n) counts to a number, or several, for each of B
# draws: (B,) or (B, ...).
Statistic = Callable[[Sequence[np.ndarray], np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Estimate:
    """A statistic of concepts.

    Attributes
    ----------
    value : float
        NaN where the concepts have none.
    standard_error : float
        Standard deviation of the value over bootstrap draws; NaN where the value is.
    n : int
        Concepts that have all the quantities.
    clusters : int
        What was drawn: clusters of concepts, or, where it is n, concepts.
    mixed : bool
        Whether it compares concepts that were drawn by class with others that have none.
    """

    value: float
    standard_error: float
    n: int
    clusters: int
    mixed: bool = False

    @property
    def over(self) -> str:
        """Name of the units that were drawn, which the standard error is over."""
        if self.mixed:
            return "classes where concepts have them, else concepts"
        return "concepts" if self.clusters == self.n else f"{self.clusters} classes"


def estimate(
    statistic: Statistic,
    quantities: Sequence[np.ndarray],
    cluster: np.ndarray | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    fewest: int = 1,
) -> Estimate:
    """Return a statistic with its standard error over the clusters.

    Parameters
    ----------
    statistic : function
        See `Statistic`. Draws for which it is NaN do not count.
    quantities : sequence of (K,) arrays
        One value per concept; a concept where any is NaN is left out.
    cluster : (K,) integer array, optional
        Cluster of each concept. Concepts are drawn one by one without it, or where there are fewer
        than 5 clusters.
    draws, seed : int
        How many bootstrap draws, and their seed.
    fewest : int
        Fewer concepts have no value.
    """
    values, members = complete(quantities, cluster)
    n = len(members)
    clusters = int(members.max()) + 1 if n else 0
    if n < fewest:
        return Estimate(np.nan, np.nan, n, clusters)
    value = float(statistic(values, np.ones((1, n), np.int64))[0])
    if np.isnan(value):
        return Estimate(np.nan, np.nan, n, clusters)
    drawn = over_draws(statistic, values, members, draws, seed)
    drawn = drawn[~np.isnan(drawn)]
    standard_error = float(drawn.std(ddof=1)) if len(drawn) > 1 else np.nan
    return Estimate(value, standard_error, n, clusters)


def complete(
    quantities: Sequence[np.ndarray], cluster: np.ndarray | None = None
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the values of the n concepts that have all quantities, and what each is drawn with.

    Parameters are those of `estimate`; (n,) float64 arrays, and (n,) numbers of clusters.
    """
    values = [np.asarray(each, np.float64) for each in quantities]
    has_all = ~np.isnan(values).any(axis=0)
    members = np.arange(int(has_all.sum()))
    if cluster is not None:
        numbers, of_concepts = np.unique(np.asarray(cluster)[has_all], return_inverse=True)
        members = of_concepts if len(numbers) >= FEWEST else members
    return [each[has_all] for each in values], members


def over_draws(
    statistic: Statistic,
    values: Sequence[np.ndarray],
    members: np.ndarray,
    draws: int = DRAWS,
    seed: int = 0,
) -> np.ndarray:
    """Return the statistic within every bootstrap draw, block by block: (draws, ...).

    Values and members are as `complete` returns them.
    """
    n = len(members)
    clusters = int(members.max()) + 1
    random = np.random.default_rng(seed)
    drawn = []
    size = max(1, BLOCK // n)
    for start in range(0, draws, size):
        block = min(size, draws - start)
        first = clusters * np.arange(block)[:, None]
        taken = random.integers(0, clusters, (block, clusters)) + first
        counts = np.bincount(taken.ravel(), minlength=taken.size).reshape(taken.shape)
        drawn.append(statistic(values, counts[:, members]))
    return np.concatenate(drawn)


def mean(values: np.ndarray, cluster: np.ndarray | None = None) -> Estimate:
    """Return the mean over concepts with its standard error; parameters as `estimate`."""
    return estimate(_mean, [values], cluster)


def quantile_range(values: np.ndarray, low: float, high: float, cluster: np.ndarray) -> Estimate:
    """Return how far two quantiles lie apart, with standard error; parameters as `estimate`."""
    return estimate(partial(_quantile_range, low, high), [values], cluster)


def _mean(values: Sequence[np.ndarray], counts: np.ndarray) -> np.ndarray:
    """Return the mean within every draw: counts (B, n) to (B,)."""
    return counts @ values[0] / counts.sum(1)


def _quantile_range(
    low: float, high: float, values: Sequence[np.ndarray], counts: np.ndarray
) -> np.ndarray:
    """Return the distance of two quantiles within every draw, by linear interpolation."""
    ordered = np.sort(values[0])
    counts = counts[:, np.argsort(values[0])]
    return np.array(
        [np.subtract(*np.quantile(np.repeat(ordered, of_draw), [high, low])) for of_draw in counts]
    )
