"""Folds for cross-validation that follow from sample ids alone, not from order or ranks."""

import numpy as np

from vinfo_mpi.numerics.hashing import hashed


def assign(ids: np.ndarray, labels: np.ndarray, folds: int, seed: int = 0) -> np.ndarray:
    """Return the fold of every sample, stratified by class.

    Within each class the samples are ordered by a hash of their id and dealt out in turn; the deal
    goes on from one class to the next, so that folds differ by at most one sample, in every class
    and in all. Samples with the same id, copies of an image, share a fold: the label of the first
    counts.

    Parameters
    ----------
    ids, labels : (N,) int64 arrays
        Stable ids, and classes.
    folds : int
        How many folds.
    seed : int
        Another seed, another division.

    Returns
    -------
    (N,) int64 array of 0 .. folds-1
    """
    distinct, first, which = np.unique(
        np.asarray(ids, np.int64), return_index=True, return_inverse=True
    )
    order = np.lexsort((distinct, hashed(distinct, seed), labels[first]))
    fold = np.empty(len(distinct), np.int64)
    fold[order] = np.arange(len(distinct)) % folds
    return fold[which]
