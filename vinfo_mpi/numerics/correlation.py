"""Correlation of two quantities over concepts, with a standard error from resampled concepts.

A draw of the bootstrap (Efron 1979, "Bootstrap Methods: Another Look at the Jackknife") is n
concepts taken with replacement; it is held as how often each concept was taken. Ranks within a draw
follow from these counts by a cumulated sum along the order of the concepts, which is the same in
every draw: nothing is sorted again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

BLOCK = 2**18  # draws times concepts that are worked on at once
FEWEST = 3  # concepts: two always correlate perfectly
ROUNDING = 1e-9  # what is no more than this is nothing

# From (n,) values and (B, n) counts to the (B, n) numbers that correlate.
Score = Callable[[np.ndarray, np.ndarray], np.ndarray]
# From (n,) values of several quantities and (B, n) counts to a number for each of B draws.
Statistic = Callable[[Sequence[np.ndarray], np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Correlation:
    """A correlation over concepts.

    Attributes
    ----------
    value : float
        In [-1, 1]; NaN where there are fewer than 3 concepts or one of the quantities is constant.
    standard_error : float
        Standard deviation of the value over bootstrap draws; NaN where the value is.
    n : int
        Concepts that have both quantities.
    """

    value: float
    standard_error: float
    n: int


def pearson(x: np.ndarray, y: np.ndarray, draws: int = 1000, seed: int = 0) -> Correlation:
    """Return Pearson's correlation of two quantities over concepts.

    Parameters
    ----------
    x, y : (K,) arrays
        One value per concept; a concept where either is NaN is left out.
    draws : int
        Bootstrap draws. A draw in which a quantity is constant has no correlation, does not count.
    seed : int
        Of the draws.
    """
    return _bootstrapped((x, y), partial(_correlated, _as_they_are), draws, seed)


def spearman(x: np.ndarray, y: np.ndarray, draws: int = 1000, seed: int = 0) -> Correlation:
    """Return Spearman's rank correlation over concepts: ties share their mean rank.

    Parameters as `pearson`.
    """
    return _bootstrapped((x, y), partial(_correlated, _ranks), draws, seed)


def partial_spearman(
    x: np.ndarray, y: np.ndarray, given: np.ndarray, draws: int = 1000, seed: int = 0
) -> Correlation:
    """Return the partial rank correlation of two quantities over concepts, given a third.

    What is left of Spearman's correlation when what both have in common with the ranks of the
    third is taken away: (r_xy - r_xg r_yg) / √((1 - r_xg²)(1 - r_yg²)). Parameters as `pearson`.
    """
    return _bootstrapped((x, y, given), _partly_correlated, draws, seed)


def _bootstrapped(
    quantities: Sequence[np.ndarray], statistic: Statistic, draws: int, seed: int
) -> Correlation:
    """Return a statistic of several quantities over the concepts that have all of them."""
    values = [np.asarray(each, np.float64) for each in quantities]
    complete = ~np.isnan(values).any(axis=0)
    values = [each[complete] for each in values]
    n = int(complete.sum())
    if n < FEWEST:
        return Correlation(np.nan, np.nan, n)
    value = float(statistic(values, np.ones((1, n), np.int64))[0])
    if np.isnan(value):
        return Correlation(np.nan, np.nan, n)
    resampled = _resampled(statistic, values, draws, seed)
    resampled = resampled[~np.isnan(resampled)]
    standard_error = float(resampled.std(ddof=1)) if len(resampled) > 1 else np.nan
    return Correlation(value, standard_error, n)


def _resampled(
    statistic: Statistic, values: Sequence[np.ndarray], draws: int, seed: int
) -> np.ndarray:
    """Return the statistic within every bootstrap draw, block by block: (draws,)."""
    n = len(values[0])
    random = np.random.default_rng(seed)
    resampled = np.empty(draws)
    size = max(1, BLOCK // n)
    for start in range(0, draws, size):
        block = resampled[start : start + size]
        taken = random.integers(0, n, (len(block), n)) + n * np.arange(len(block))[:, None]
        counts = np.bincount(taken.ravel(), minlength=taken.size).reshape(taken.shape)
        block[:] = statistic(values, counts)
    return resampled


def _correlated(score: Score, values: Sequence[np.ndarray], counts: np.ndarray) -> np.ndarray:
    """Return the correlation of two quantities within every draw: counts (B, n) to (B,)."""
    x, y = values
    return _correlations(score, x, y, counts)


def _partly_correlated(values: Sequence[np.ndarray], counts: np.ndarray) -> np.ndarray:
    """Return the partial rank correlation within every draw; NaN where the third says it all."""
    x, y, given = values
    of_both = _correlations(_ranks, x, y, counts)
    of_x = _correlations(_ranks, x, given, counts)
    of_y = _correlations(_ranks, y, given, counts)
    left = np.sqrt((1 - of_x**2) * (1 - of_y**2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(left > ROUNDING, np.clip((of_both - of_x * of_y) / left, -1, 1), np.nan)


def _correlations(score: Score, x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the correlation within every draw: counts (B, n) to (B,); NaN for a single value."""
    dx = _deviations(score(x, counts), counts)
    dy = _deviations(score(y, counts), counts)
    weighted = counts * dx
    lengths = np.sqrt((weighted * dx).sum(1)) * np.sqrt((counts * dy * dy).sum(1))
    with np.errstate(invalid="ignore"):
        return np.clip((weighted * dy).sum(1) / lengths, -1, 1)


def _deviations(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return values (B, n) minus their mean within each draw."""
    # First minus a value of the draw itself: the deviations of equal values are then 0 exactly,
    # without rounding.
    values = values - np.take_along_axis(values, counts.argmax(1, keepdims=True), 1)
    return values - (counts * values).sum(1, keepdims=True) / values.shape[1]


def _as_they_are(x: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.broadcast_to(x, counts.shape)


def _ranks(x: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the rank of every value within each draw, the mean rank for equal values: (B, n)."""
    order = np.argsort(x)
    # How many were taken of the lowest 0, 1, ... n values.
    below = np.zeros((len(counts), len(x) + 1), np.int64)
    np.cumsum(counts[:, order], axis=1, out=below[:, 1:])
    first = np.searchsorted(x, x, "left", sorter=order)
    past = np.searchsorted(x, x, "right", sorter=order)
    return (below[:, first] + below[:, past] + 1) / 2
