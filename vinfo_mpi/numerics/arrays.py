"""Small things that many analyses need: standard errors, spacing, rows of different lengths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def standard_error(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Return the standard error of the mean along an axis; NaN where there are fewer than two."""
    n = values.shape[axis]
    if n < 2:
        return np.full(np.delete(values.shape, axis), np.nan)
    return values.std(axis, ddof=1) / np.sqrt(n)


def error_of_share(share: np.ndarray | float, n: int) -> np.ndarray:
    """Return the standard error of a share of n rows: that of the mean of n zeros and ones.

    >>> bool(np.isclose(error_of_share(0.25, 4), standard_error(np.array([1.0, 0, 0, 0]))))
    True
    """
    return np.asarray(np.sqrt(share * (1 - share) / max(1, n - 1)))


def evenly_spaced(total: int, count: int) -> np.ndarray:
    """Return at most `count` numbers of ``range(total)``, evenly spaced, both ends among them.

    >>> evenly_spaced(10, 4).tolist(), evenly_spaced(2, 4).tolist()
    ([0, 3, 6, 9], [0, 1])
    """
    return np.unique(np.linspace(0, total - 1, min(count, total)).astype(int))


def stack_padded(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Return numbers, or rows of different lengths filled up with NaN, as one array.

    >>> stack_padded([np.array([1.0, 2.0]), np.array([3.0])]).tolist()
    [[1.0, 2.0], [3.0, nan]]
    """
    if rows[0].ndim == 0:
        return np.array(rows)
    width = max(map(len, rows))
    return np.array([np.pad(row, (0, width - len(row)), constant_values=np.nan) for row in rows])


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Return rows scaled to unit length, (n, d); a row of zeros stays as it is."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)
