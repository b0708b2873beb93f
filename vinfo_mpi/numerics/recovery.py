"""Planted dictionaries, and how much of one a factorisation or an autoencoder recovers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import norm

from vinfo_mpi.numerics.arrays import unit_rows

GROUP = 4  # atoms whose codes are correlated, or are a parent and its children
CHANNELS = 0.2  # of every atom, by default


@dataclass(frozen=True)
class Dictionary:
    """Atoms (K, d) of unit length and codes (n, K), both float64."""

    atoms: np.ndarray
    codes: np.ndarray


@dataclass(frozen=True)
class Recovery:
    """How much of a planted dictionary is recovered.

    Attributes
    ----------
    cosine : (K,) float64 array
        Similarity of every planted atom to the one that is matched with it; 0 without one.
    unique : float
        Share of the recovered atoms, without those of zeros, that are counted when each planted
        atom counts once among those nearest to it: 1 if no two stand for the same.
    precision, recall : (K,) float64 arrays
        Of firing, over the rows. An atom that never fires has precision 0.
    scale : (K,) float64 array
        Regression of recovered codes on planted ones, through the origin, where both fire: below
        1, codes have shrunk; NaN where they never fire together.
    """

    cosine: np.ndarray
    unique: float
    precision: np.ndarray
    recall: np.ndarray
    scale: np.ndarray

    @property
    def f1(self) -> np.ndarray:
        """Harmonic mean of precision and recall: (K,)."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / np.where(both > 0, both, 1)


def plant(
    n: int,
    d: int,
    concepts: int,
    active: float,
    *,
    noise: float = 0.0,
    correlation: float = 0.0,
    hierarchical: bool = False,
    channels: float = CHANNELS,
    seed: int = 0,
) -> tuple[np.ndarray, Dictionary]:
    """Return activations x = relu(Z D + noise) and the dictionary that they were made from.

    Parameters
    ----------
    n, d, concepts : int
        Rows, channels and atoms.
    active : float
        Mean number of atoms that fire in a row.
    noise : float
        Length of the Gaussian noise relative to Z D (root mean square over the rows).
    correlation : float
        Of the Gaussians behind the firing of the four atoms of a group (a Gaussian copula).
    hierarchical : bool
        Of every four atoms, let the first fire wherever one of the others does: the first fires 2.5
        times less rarely, the others in half of its rows each, as often in all.
    channels : float
        Share of the channels that an atom has.
    seed : int

    Returns
    -------
    x : (n, d) float64 array
    planted : Dictionary
    """
    random = np.random.default_rng(seed)
    atoms = np.abs(random.normal(size=(concepts, d))) * (random.random((concepts, d)) < channels)
    atoms[np.arange(concepts), random.integers(d, size=concepts)] += 1  # no atom is empty
    fires = _fires(random, n, concepts, active / concepts, correlation, hierarchical)
    codes = fires * (0.5 + random.exponential(0.5, size=(n, concepts)))
    planted = Dictionary(unit_rows(atoms), codes)
    signal = planted.codes @ planted.atoms
    size = np.sqrt(np.square(signal).mean())
    return np.maximum(0, signal + noise * size * random.normal(size=(n, d))), planted


def _fires(
    random: np.random.Generator,
    n: int,
    concepts: int,
    rate: float,
    correlation: float,
    hierarchical: bool,
) -> np.ndarray:
    """Return which atoms fire in which rows: (n, K) bool."""
    group = np.arange(concepts) // GROUP
    shared = random.normal(size=(n, group[-1] + 1))[:, group]
    own_part = random.normal(size=(n, concepts))
    latent = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own_part
    if not hierarchical:
        return np.asarray(latent > norm.isf(rate))
    parent = np.arange(concepts) // GROUP * GROUP
    is_parent = parent == np.arange(concepts)
    # One parent and three children in half of its rows: 2.5 atoms where the parent fires.
    above = latent > np.where(is_parent, norm.isf(min(1.0, GROUP / 2.5 * rate)), 0.0)
    return np.asarray(above & above[:, parent])


def recovery(recovered: Dictionary, planted: Dictionary, share: float = 0.0) -> Recovery:
    """Return how much of a planted dictionary is recovered.

    Planted and recovered atoms are matched one to one, such that the sum of their cosines is
    greatest. Neither the order of the atoms nor their length matters: codes are compared at
    unit length.

    Parameters
    ----------
    recovered, planted : Dictionary
        Of the same rows. Their numbers of atoms may differ.
    share : float
        A recovered atom fires where its code is above this share of its largest.

    Returns
    -------
    Recovery
    """
    cosines = unit_rows(planted.atoms) @ unit_rows(recovered.atoms).T
    rows, columns = linear_sum_assignment(cosines, maximize=True)
    count = len(planted.atoms)
    cosine = np.zeros(count)
    cosine[rows] = cosines[rows, columns]
    codes = np.zeros_like(planted.codes)
    lengths = np.linalg.norm(recovered.atoms, axis=1)
    codes[:, rows] = recovered.codes[:, columns] * lengths[columns]
    fires = codes > share * codes.max(0)
    truth = planted.codes > 0
    both = fires & truth
    together = both.sum(0)
    squares = np.where(both, planted.codes, 0) ** 2
    products = np.where(both, planted.codes * codes, 0)
    with np.errstate(invalid="ignore"):
        scale = products.sum(0) / squares.sum(0)
    return Recovery(
        cosine=cosine,
        unique=_unique(cosines[:, lengths > 0]),
        precision=together / np.maximum(1, fires.sum(0)),
        recall=together / np.maximum(1, truth.sum(0)),
        scale=scale,
    )


def _unique(cosines: np.ndarray) -> float:
    """Return the share of the recovered atoms (columns) that have a planted one to themselves."""
    return len(np.unique(cosines.argmax(0))) / cosines.shape[1] if cosines.shape[1] else 0.0
