"""By how much the concepts of two runs differ on average, with errors over classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vinfo_mpi.numerics import bootstrap
from vinfo_mpi.numerics.bootstrap import Estimate


def difference(
    first: np.ndarray, of_first: np.ndarray, second: np.ndarray, of_second: np.ndarray
) -> Estimate:
    """Return the mean of the second less that of the first, with its standard error.

    Classes are drawn with all their concepts of both runs: what both have in common because they
    are of the same images is not an error of the difference.

    Parameters
    ----------
    first, second : (K,), (M,) arrays
        One value per concept of each run; NaN is left out.
    of_first, of_second : (K,), (M,) integer arrays
        Their classes; -1: of all. Where only one run's concepts have classes, nothing can be drawn
        together: the errors of both means are added as those of independent ones.
    """
    if (of_first < 0).all() != (of_second < 0).all():
        return _independent(bootstrap.mean(first, of_first), bootstrap.mean(second, of_second))
    values = np.concatenate([first, second])
    is_second = np.concatenate([np.zeros(len(first)), np.ones(len(second))])
    cluster = np.concatenate([of_first, of_second])
    return bootstrap.estimate(_difference, [values, is_second], cluster)


def _independent(first: Estimate, second: Estimate) -> Estimate:
    """Return the difference of means that have no clusters in common."""
    return Estimate(
        value=second.value - first.value,
        standard_error=float(np.hypot(first.standard_error, second.standard_error)),
        n=first.n + second.n,
        clusters=first.clusters + second.clusters,
        mixed=True,
    )


def _difference(values: Sequence[np.ndarray], counts: np.ndarray) -> np.ndarray:
    """Return the difference within every draw: counts (B, n) to (B,); NaN without either."""
    value, is_second = values
    of_second = counts * is_second
    of_first = counts - of_second
    with np.errstate(invalid="ignore", divide="ignore"):
        return of_second @ value / of_second.sum(1) - of_first @ value / of_first.sum(1)
