"""The affine map that vectors follow from others by, if there is one."""

from __future__ import annotations

import numpy as np

AGREEMENT = 1e-3  # largest difference, relative to the spread, for a map to count as one


def affine_of(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return weight (C, d) and bias (C,) with y = x Wᵀ + b; None where there is no such map.

    It is found on one half of the rows, and holds on the other.

    Parameters
    ----------
    x : (N, d) array
    y : (N, C) array
    """
    half = slice(0, None, 2)
    other = slice(1, None, 2)
    if len(x[half]) <= x.shape[1] + 1:
        return None
    centre = x[half].mean(0)
    columns = np.column_stack([np.ones(len(x[half])), x[half] - centre])
    solution = np.linalg.lstsq(columns, np.asarray(y[half], float), rcond=None)[0]
    weight = solution[1:].T
    bias = solution[0] - weight @ centre
    difference = np.abs(x[other] @ weight.T + bias - y[other]).max()
    return (weight, bias) if difference <= AGREEMENT * np.std(y) else None
