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
        Their classes.
    """
    values = np.concatenate([first, second])
    is_second = np.concatenate([np.zeros(len(first)), np.ones(len(second))])
    cluster = np.concatenate([of_first, of_second])
    return bootstrap.estimate(_difference, [values, is_second], cluster)


def _difference(values: Sequence[np.ndarray], counts: np.ndarray) -> np.ndarray:
    """Return the difference within every draw: counts (B, n) to (B,); NaN without either."""
    value, is_second = values
    of_second = counts * is_second
    of_first = counts - of_second
    with np.errstate(invalid="ignore", divide="ignore"):
        return of_second @ value / of_second.sum(1) - of_first @ value / of_first.sum(1)
