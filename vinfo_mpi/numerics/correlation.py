"""Correlation of two quantities over concepts, with its bootstrap standard error.

Ranks within a draw of the bootstrap follow from how often each concept was taken, by a cumulated
sum along the order of the concepts, which is the same in every draw: nothing is sorted again.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from vinfo_mpi.numerics.bootstrap import DRAWS, Estimate, complete, estimate, over_draws

FEWEST = 3  # concepts: two always correlate perfectly
ROUNDING = 1e-9  # what is no more than this is nothing

# From (n,) values and (B, n) counts to the (B, n) numbers that correlate.
Score = Callable[[np.ndarray, np.ndarray], np.ndarray]
# The correlation of every two quantities, the first before the second, within each draw: (B,).
Pairs = Mapping[tuple[int, int], np.ndarray]


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


@dataclass(frozen=True)
class Matrix:
    """Spearman's correlation of every two of M quantities, over the same concepts.

    Attributes
    ----------
    values, standard_errors : (M, M) arrays
        NaN where a quantity is constant.
    n : int
        Concepts that have all the quantities.
    """

    values: np.ndarray
    standard_errors: np.ndarray
    n: int


def spearman_matrix(
    quantities: Sequence[np.ndarray],
    draws: int = DRAWS,
    seed: int = 0,
    cluster: np.ndarray | None = None,
) -> Matrix:
    """Return Spearman's correlation of every two quantities over the concepts that have all.

    The values of `spearman`, ranks within a draw being made once for all pairs. Parameters as
    `pearson`.
    """
    values, members = complete(quantities, cluster)
    n = len(members)
    if n < FEWEST:
        nothing = np.full((len(values), len(values)), np.nan)
        return Matrix(nothing, nothing, n)
    drawn = over_draws(_all_correlated, values, members, draws, seed)
    with warnings.catch_warnings():  # a quantity that is constant in all draws
        warnings.simplefilter("ignore", RuntimeWarning)
        errors = np.nanstd(drawn, axis=0, ddof=1)
    return Matrix(_all_correlated(values, np.ones((1, n), np.int64))[0], errors, n)


def _all_correlated(values: Sequence[np.ndarray], counts: np.ndarray) -> np.ndarray:
    """Return the rank correlation of every two quantities within every draw: (B, M, M)."""
    roots = np.sqrt(counts)
    deviations = np.stack([_deviations(_ranks(each, counts), counts) * roots for each in values], 1)
    products = deviations @ deviations.transpose(0, 2, 1)
    lengths = np.sqrt(products.diagonal(axis1=1, axis2=2))
    with np.errstate(invalid="ignore"):
        return np.clip(products / (lengths[:, :, None] * lengths[:, None]), -1, 1)


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
    deviations = [_deviations(_ranks(quantity, counts), counts) for quantity in values]
    pairs = {
        (first, second): _correlation(deviations[first], deviations[second], counts)
        for first in range(len(values))
        for second in range(first + 1, len(values))
    }
    return _partial(pairs, 0, 1, range(2, len(values)))


def _partial(pairs: Pairs, first: int, second: int, given: Sequence[int]) -> np.ndarray:
    """Return the partial correlation of two quantities given others, from those of all pairs."""
    if not given:
        return pairs[min(first, second), max(first, second)]
    *others, last = given
    both = _partial(pairs, first, second, others)
    of_first = _partial(pairs, first, last, others)
    of_second = _partial(pairs, second, last, others)
    left = np.stack([1 - of_first**2, 1 - of_second**2])
    with np.errstate(invalid="ignore", divide="ignore"):
        partly = (both - of_first * of_second) / np.sqrt(left.prod(axis=0))
    return np.where(left.min(axis=0) > ROUNDING, np.clip(partly, -1, 1), np.nan)


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
