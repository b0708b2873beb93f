"""Correlation of two quantities over concepts, with its bootstrap standard error.

Ranks within a draw of the bootstrap follow from how often each concept was taken, by a cumulated
sum along the order of the concepts, which is the same in every draw: nothing is sorted again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from vinfo_mpi.numerics.bootstrap import DRAWS, Estimate, estimate

FEWEST = 3  # concepts: two always correlate perfectly
ROUNDING = 1e-9  # what is no more than this is nothing

# From (n,) values and (B, n) counts to the (B, n) numbers that correlate.
Score = Callable[[np.ndarray, np.ndarray], np.ndarray]


def pearson(
    x: np.ndarray,
    y: np.ndarray,
    draws: int = DRAWS,
    seed: int = 0,
    cluster: np.ndarray | None = None,
) -> Estimate:
    """Return Pearson's correlation of two quantities over concepts.

    Parameters
    ----------
    x, y : (K,) arrays
        One value per concept; a concept where either is NaN is left out. NaN where there are fewer
        than 3 concepts, or a quantity is constant.
    draws : int
        Bootstrap draws. A draw in which a quantity is constant has no correlation, does not count.
    seed : int
        Of the draws.
    cluster : (K,) integer array, optional
        What each concept belongs to; clusters are drawn whole, see `bootstrap.estimate`.
    """
    return estimate(partial(_correlated, _as_they_are), (x, y), cluster, draws, seed, FEWEST)


def spearman(
    x: np.ndarray,
    y: np.ndarray,
    draws: int = DRAWS,
    seed: int = 0,
    cluster: np.ndarray | None = None,
) -> Estimate:
    """Return Spearman's rank correlation over concepts: ties share their mean rank.

    Parameters as `pearson`.
    """
    return estimate(partial(_correlated, _ranks), (x, y), cluster, draws, seed, FEWEST)


def partial_spearman(
    x: np.ndarray,
    y: np.ndarray,
    given: Sequence[np.ndarray],
    draws: int = DRAWS,
    seed: int = 0,
    cluster: np.ndarray | None = None,
) -> Estimate:
    """Return the partial rank correlation of two quantities over concepts, given others.

    What is left of Spearman's correlation when what both have in common with the ranks of the
    others is taken away; for one of them (r_xy - r_xg r_yg) / √((1 - r_xg²)(1 - r_yg²)), and so on
    with these for the next. Parameters as `pearson`.
    """
    return estimate(_partly_correlated, (x, y, *given), cluster, draws, seed, FEWEST)


def _correlated(score: Score, values: Sequence[np.ndarray], counts: np.ndarray) -> np.ndarray:
    """Return the correlation of two quantities within every draw: counts (B, n) to (B,)."""
    x, y = values
    return _correlation(
        _deviations(score(x, counts), counts), _deviations(score(y, counts), counts), counts
    )


def _partly_correlated(values: Sequence[np.ndarray], counts: np.ndarray) -> np.ndarray:
    """Return the partial rank correlation of the first two quantities within every draw.

    NaN where the others say all of either.
    """
    deviations = [_deviations(_ranks(of_one, counts), counts) for of_one in values]
    return _partial(deviations, counts)


def _partial(deviations: Sequence[np.ndarray], counts: np.ndarray) -> np.ndarray:
    """Return the partial correlation of the first two of several quantities given the others."""
    x, y, *given = deviations
    if not given:
        return _correlation(x, y, counts)
    *others, last = given
    of_both = _partial([x, y, *others], counts)
    of_x = _partial([x, last, *others], counts)
    of_y = _partial([y, last, *others], counts)
    left = np.sqrt((1 - of_x**2) * (1 - of_y**2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(left > ROUNDING, np.clip((of_both - of_x * of_y) / left, -1, 1), np.nan)


def _correlation(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the correlation of deviations (B, n) within every draw; NaN for a single value."""
    weighted = counts * x
    lengths = np.sqrt((weighted * x).sum(1)) * np.sqrt((counts * y * y).sum(1))
    with np.errstate(invalid="ignore"):
        return np.clip((weighted * y).sum(1) / lengths, -1, 1)


def _deviations(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return values (B, n) minus their mean within each draw."""
    # First minus a value of the draw itself: the deviations of equal values are then 0 exactly,
    # without rounding.
    values = values - np.take_along_axis(values, counts.argmax(1, keepdims=True), 1)
    total = counts.sum(1, keepdims=True)
    return values - (counts * values).sum(1, keepdims=True) / total


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
