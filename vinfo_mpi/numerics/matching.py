"""How stable atoms are: each is matched with an atom of another fit."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment


def match(atoms: np.ndarray, others: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return the cosine similarity of every atom and its counterpart in another fit.

    Within each group the atoms of both fits are paired one to one, such that the sum of the similarities is greatest
    (the assignment problem, in time cubic in the size of the group).

    Parameters
    ----------
    atoms, others : (K, d) arrays
        The dictionaries of both fits.
    group : (K,) integer array
        Class of every row, of `atoms` and of `others` alike.

    Returns
    -------
    (K,) float64 array
        In the order of `atoms`; an atom of zeros is similar to none: 0.
    """
    one, other = (_unit(np.asarray(part, np.float64)) for part in (atoms, others))
    similarity = np.empty(len(one))
    for label in np.unique(group):
        rows = np.flatnonzero(group == label)
        cosines = one[rows] @ other[rows].T
        similarity[rows] = cosines[linear_sum_assignment(cosines, maximize=True)]
    return similarity


def _unit(atoms: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(atoms, axis=1, keepdims=True)
    return atoms / np.where(lengths > 0, lengths, 1)
