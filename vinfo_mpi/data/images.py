"""Labelled images with stable ids, and which of them are learned from, held out and analysed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vinfo_mpi.config.schema import Data
from vinfo_mpi.errors import InputError
from vinfo_mpi.numerics.hashing import hashed
from vinfo_mpi.parallel.logs import log

# Added to the seed: data.per_class and train.per_class choose by other orders than the division
# into training and test.
SUBSET = 1_000_003
LEARNED = 2_000_003


@dataclass(frozen=True)
class Images:
    """Images that are read one by one, by id.

    Attributes
    ----------
    read : function of an id
        Returns a PIL image or a (C, H, W) tensor; raises `InputError` where it cannot be read.
        With machine.workers it travels to other processes: a function of a module or a
        `functools.partial` of one, no lambda.
    labels : (N,) int64 array
        Class of every id.
    test : (N,) bool array
        Whether the image is held out from training.
    classes : list of str
        Names of the classes.
    factors : dict of str to (N,) array
        What is known of every id besides its class, such as attributes of faces: each can be
        scored as a concept. Numbers, NaN where one is not known; booleans become 0 and 1, and each
        of several texts a factor.
    names : sequence of str
        What every id is called where it comes from, such as the path of its file; optional.
    """

    read: Callable[[int], Any]
    labels: np.ndarray
    test: np.ndarray
    classes: list[str]
    factors: dict[str, np.ndarray] = field(default_factory=dict)
    names: Sequence[str] | None = None

    def analysed(self, data: Data, seed: int, skipped: frozenset[int] = frozenset()) -> np.ndarray:
        """Return the ids that are analysed, ascending.

        At most `data.per_class` of each class, chosen by hash.
        """
        of_split = {"all": np.ones_like(self.test), "train": ~self.test, "test": self.test}
        ids = _without(np.flatnonzero(of_split[data.analyse]), skipped)
        if data.on_missing_factor == "skip":
            ids = self._with_all_factors(ids)
        if data.per_class is not None:
            ids = self._first(ids, data.per_class, seed + SUBSET)
        if not len(ids):
            raise InputError(
                f"data.analyse: {data.analyse} leaves no image; choose another of train, test, all"
            )
        return ids

    def _with_all_factors(self, ids: np.ndarray) -> np.ndarray:
        """Return the ids of which every factor is known."""
        known = np.ones(len(ids), bool)
        for name, values in self.factors.items():
            missing = np.isnan(values[ids])
            known &= ~missing
            if missing.any():
                log.info("data: %d images left out: no value of '%s'", missing.sum(), name)
        return ids[known]

    def training(
        self, per_class: int | None = None, seed: int = 0, skipped: frozenset[int] = frozenset()
    ) -> np.ndarray:
        """Return the ids that are learned from, ascending.

        At most `per_class` of each class, chosen by hash.
        """
        ids = _without(np.flatnonzero(~self.test), skipped)
        return ids if per_class is None else self._first(ids, per_class, seed + LEARNED)

    def _first(self, ids: np.ndarray, per_class: int, seed: int) -> np.ndarray:
        """Return the first ids of each class in the order of hashes, ascending."""
        return np.sort(ids[rank_in_class(ids, self.labels[ids], seed) < per_class])


def held_out(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Return which images are held out where the source has no split: (N,) bool.

    The same share of every class.
    """
    ids = np.arange(len(labels))
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return rank_in_class(ids, labels, seed) < np.round(share * counts)[place]


def rank_in_class(ids: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """Return the place of every id in the order of hashes within its class: (n,) int64."""
    order = np.lexsort((ids, hashed(ids, seed), labels))
    sorted_labels = labels[order]
    starts = np.searchsorted(sorted_labels, sorted_labels, side="left")
    place = np.empty(len(ids), np.int64)
    place[order] = np.arange(len(ids)) - starts
    return place


def _without(ids: np.ndarray, skipped: frozenset[int]) -> np.ndarray:
    return ids[~np.isin(ids, list(skipped))]
