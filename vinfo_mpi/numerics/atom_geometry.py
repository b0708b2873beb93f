"""Geometry of atoms: matches with another fit, nearest neighbours, spread over channels."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from vinfo_mpi.numerics.arrays import unit_rows

BLOCK = 1024  # atoms that are compared with others at once


def match(
    atoms: np.ndarray, others: np.ndarray, group: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the counterpart of every atom in another fit, and their cosine similarity.

    Within each group the atoms of both fits are paired one to one, such that the sum of the
    similarities is greatest (the assignment problem, in time cubic in the size of the group).

    Parameters
    ----------
    atoms, others : (K, d) arrays
        The dictionaries of both fits.
    group : (K,) integer array
        Class of every row, of `atoms` and of `others` alike.

    Returns
    -------
    counterpart, similarity : (K,) int64 and float64 arrays
        Rows of `others`, in the order of `atoms`; an atom of zeros is similar to none: 0.
    """
    units = unit_rows(np.asarray(atoms, np.float64))
    counterparts = unit_rows(np.asarray(others, np.float64))
    counterpart = np.empty(len(units), np.int64)
    for label in np.unique(group):
        rows = np.flatnonzero(group == label)
        cosines = units[rows] @ counterparts[rows].T
        counterpart[rows] = rows[linear_sum_assignment(cosines, maximize=True)[1]]
    return counterpart, (units * counterparts[counterpart]).sum(1)


def similarity(atoms: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the cosine of every atom and its counterpart in another dictionary: (K,) float64.

    They are paired one to one, such that the sum of the cosines is greatest; 0: without one.

    Parameters
    ----------
    atoms, others : (K, d), (M, d) arrays
    """
    cosines = unit_rows(np.asarray(atoms, np.float64)) @ unit_rows(np.asarray(others, np.float64)).T
    rows, columns = linear_sum_assignment(cosines, maximize=True)
    result = np.zeros(len(cosines))
    result[rows] = cosines[rows, columns]
    return result


def nearest(atoms: torch.Tensor, chosen: range, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the atoms with the largest cosine to each of some atoms.

    Parameters
    ----------
    atoms : (K, d) tensor
    chosen : range
        Numbers of n atoms.
    count : int
        How many of the K - 1 others; of equally near ones the first.

    Returns
    -------
    numbers, cosines : (n, count) int64, (n, count) tensors
        Nearest first. An atom that is zero has cosine 0 to all.
    """
    lengths = atoms.norm(dim=1, keepdim=True)
    units = atoms / torch.where(lengths > 0, lengths, 1.0)
    cosines = units[chosen.start : chosen.stop] @ units.T
    themselves = torch.arange(chosen.start, chosen.stop, device=atoms.device)
    cosines.scatter_(1, themselves[:, None], -torch.inf)
    values, numbers = cosines.sort(dim=1, descending=True, stable=True)
    count = min(count, len(atoms) - 1)
    return numbers[:, :count], values[:, :count]


def repeated(atoms: np.ndarray, cosine: float) -> np.ndarray:
    """Return whether an earlier atom points almost the same way: (K,) bool array.

    Parameters
    ----------
    atoms : (K, d) array
        An atom of zeros repeats none, and is repeated by none.
    cosine : float
        The similarity above which two atoms count as the same.
    """
    units = unit_rows(np.asarray(atoms, np.float32))
    repeats = np.zeros(len(units), bool)
    for start in range(0, len(units), BLOCK):
        block = units[start : start + BLOCK]
        cosines = np.tril(block @ units[: start + len(block)].T, start - 1)
        repeats[start : start + BLOCK] = (cosines > cosine).any(1)
    return repeats


def hoyer(atoms: np.ndarray) -> np.ndarray:
    """Return Hoyer's sparseness (√d - ||v||₁/||v||₂) / (√d - 1) of every atom.

    It follows from the absolute values of the entries. 1: a single entry is not zero; 0: all are
    equally large (Hoyer 2004, "Non-negative Matrix Factorization with Sparseness Constraints").
    NaN where it says nothing: for an atom of zeros, and if there is only one channel.

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
