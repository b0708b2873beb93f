"""Shortcut bias: whether decisions follow a factor more than the optimum does.

After Hermann, Mobahi, Fel & Mozer (2024), "On the Foundations of Shortcut Learning". Labels are
bits, factors are binary; decisions and the optimum are compared on images with crossed factors.
"""

from __future__ import annotations

import numpy as np

from vinfo_mpi.numerics.arrays import standard_error

PRIOR = 0.5  # images added to every count (Jeffreys)
DRAWS = 1000


def count(bits: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Return how many images have each value of a factor and of a bit: (B, F, 2, 2) int64.

    Parameters
    ----------
    bits : (N, B) bool array
    factors : (N, F) bool array
    """
    of_bits = np.stack([~bits, bits]).astype(np.int64)
    of_factors = np.stack([~factors, factors]).astype(np.int64)
    return np.einsum("ynb,xnf->bfxy", of_bits, of_factors)


def predictivity(counts: np.ndarray) -> np.ndarray:
    """Return the share of images whose bit the best rule of one factor tells: (B, F)."""
    return counts.max(-1).sum(-1) / counts.sum((-2, -1))


def optima(counts: np.ndarray, factors: np.ndarray, seed: int) -> np.ndarray:
    """Return what the Bayes rule decides with factors independent given the bit: (D, N, B) int8.

    Of D draws of the frequencies from what the counts leave open (Beta distributions), -1 or 1. All
    are alike where the counts tell which factor to follow, and half and half where two predict
    equally well: their mean changes by little when an image is added. Both values of a bit are
    taken to be equally frequent.

    Parameters
    ----------
    counts : (B, F, 2, 2) array
        From `count`, of the images that are learned from.
    factors : (N, F) bool array
    seed : int
    """
    rng = np.random.default_rng([seed, DRAWS])
    on = counts[..., 1, :] + PRIOR
    off = counts[..., 0, :] + PRIOR
    share = rng.beta(on, off, (DRAWS, *on.shape))  # of a value of the bit with the factor
    evidence = np.diff(np.log(np.stack([1 - share, share])), axis=-1)[..., 0]  # (2, D, B, F)
    values, of_image = np.unique(factors, axis=0, return_inverse=True)
    each = np.arange(factors.shape[1])
    odds = evidence[values.astype(np.int64), :, :, each].sum(1)
    decided = np.where(odds > 0, 1, -1).astype(np.int8)
    return decided[of_image].transpose(1, 0, 2)


def reliance(decisions: np.ndarray, factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean agreement of every bit decided with every factor, and its error: (B, F).

    Parameters
    ----------
    decisions : (N, B) array
        -1 or 1, or a mean of several decisions.
    factors : (N, F) bool array
    """
    products = decisions[:, :, None] * signs(factors)[:, None]
    return products.mean(0), standard_error(products)


def bias(
    decisions: np.ndarray, optimal: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[float, float]:
    """Return by how much more than the optimum decisions follow one factor than another.

    Half the difference of their reliances on the two, less that of the optimum: 0 for the optimum,
    1 for what follows the first where it should follow the second.

    Parameters
    ----------
    decisions : (N,) array
        Of one bit: -1 or 1.
    optimal : (D, N) array
        What `optima` gives for it.
    first, second : (N,) bool arrays

    Returns
    -------
    bias, error : float
        The error is over the images and over what the counts leave open, not over trainings. Where
        both factors predict equally well it comes to one half: there the bias says nothing.
    """
    disagree = (signs(first) - signs(second)) / 2
    values = (decisions - optimal.mean(0)) * disagree
    left_open = (optimal @ disagree / len(disagree)).std()
    return float(values.mean()), float(np.hypot(standard_error(values), left_open))


def signs(factors: np.ndarray) -> np.ndarray:
    """Return -1 for False and 1 for True."""
    return np.where(factors, 1.0, -1.0)
