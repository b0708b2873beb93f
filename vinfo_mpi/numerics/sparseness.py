"""How few channels an atom lives on."""

from __future__ import annotations

import numpy as np


def hoyer(atoms: np.ndarray) -> np.ndarray:
    """Return Hoyer's sparseness (√d - ||v||₁/||v||₂) / (√d - 1) of every atom, from the absolute values of its entries.

    1: a single entry is not zero; 0: all are equally large (Hoyer 2004, "Non-negative Matrix Factorization with
    Sparseness Constraints"). NaN where it says nothing: for an atom of zeros, and if there is only one
    channel.

    Parameters
    ----------
    atoms : (K, d) array

    Returns
    -------
    (K,) float64 array
    """
    size = np.abs(np.asarray(atoms, np.float64))
    root = np.sqrt(size.shape[1])
    with np.errstate(invalid="ignore"):
        size = size / size.max(axis=1, keepdims=True)  # its squares neither overflow nor vanish
        return (root - size.sum(1) / np.sqrt(np.square(size).sum(1))) / (root - 1)
