"""Folds for cross-validation that depend on the sample ids alone, not on their order or on the ranks."""

import numpy as np


def assign(ids: np.ndarray, labels: np.ndarray, folds: int, seed: int = 0) -> np.ndarray:
    """Return the fold of every sample, stratified by class.

    Within each class the samples are ordered by a hash of their id and dealt out in turn; the deal goes on from one
    class to the next, so that folds differ by at most one sample, in every class and in all.

    Parameters
    ----------
    ids, labels : (N,) int64 arrays
        Stable ids, all different, and classes.
    folds : int
        How many folds.
    seed : int
        Another seed, another division.

    Returns
    -------
    (N,) int64 array of 0 .. folds-1
    """
    ids = np.asarray(ids, np.int64)
    order = np.lexsort((ids, hashed(ids, seed), labels))
    fold = np.empty(len(ids), np.int64)
    fold[order] = np.arange(len(ids)) % folds
    return fold


def hashed(ids: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return a well-mixed uint64 for every id (the finaliser of SplitMix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        value = np.asarray(ids, np.int64).astype(np.uint64) + np.uint64(seed + 1) * np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return value ^ (value >> np.uint64(31))
