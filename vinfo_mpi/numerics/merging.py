"""Iterative feature merging: which channels of a layer are as good as one, the nearest pair first.

Chen, Zhou & Yan (ICLR 2024): two channels are merged by the sum of what they take in and the mean
of what is taken from them, which leaves a ReLU network's function where they take in the same. So
do the mean of the former and the sum of the latter, for any nonlinearity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

EQUAL = 1e-12  # squared distance, relative to the squared norms: weights in float32 are no closer


@dataclass(frozen=True)
class Merges:
    """The merges of a layer's channels until one is left, in their order.

    Attributes
    ----------
    pairs : (d - 1, 2) int64 array
        Channels: each stands for all that were merged into it, and takes in the second of the pair.
    ratios : (d - 1,) float64 array
        Squared distance of the pair over the largest of any two channels then left.
    """

    pairs: np.ndarray
    ratios: np.ndarray

    def count(self, threshold: float) -> int:
        """Return how many merges come before the first whose ratio is above a threshold."""
        above = np.flatnonzero(self.ratios > threshold)
        return int(above[0]) if len(above) else len(self.ratios)

    def labels(self, threshold: float) -> np.ndarray:
        """Return the merged channel of every channel, numbered by first members: (d,) int64."""
        merged_into = np.arange(len(self.pairs) + 1)
        for kept, gone in self.pairs[: self.count(threshold)]:
            merged_into[merged_into == gone] = kept
        _, first, labels = np.unique(merged_into, return_index=True, return_inverse=True)
        return np.argsort(np.argsort(first))[labels]


def merge(incoming: np.ndarray, outgoing: np.ndarray, added: bool = False) -> Merges:
    """Merge the nearest two channels of a layer until one is left, in O(d²) each.

    Parameters
    ----------
    incoming, outgoing : (d, d) float64 arrays
        Gram matrices of the channels' weights: of those that they take in, and of those that are
        taken from them or change each by itself.
    added : bool
        Whether the former are added where channels merge, as in the paper: a channel is then at a
        distance from two merged copies of itself. Else their mean is taken, as of the latter,
        weighted by how many channels each stands for.

    Returns
    -------
    Merges
        Of pairs at the same distance that which comes first in the order of the channels.
    """
    layer = _Layer(incoming.astype(np.float64), outgoing.astype(np.float64), added)
    pairs = []
    ratios = []
    for _ in range(len(incoming) - 1):
        pair, ratio = layer.nearest()
        layer.merge(*pair)
        pairs.append(pair)
        ratios.append(ratio)
    return Merges(np.array(pairs, np.int64).reshape(-1, 2), np.array(ratios, np.float64))


class _Layer:
    """Channels that are left, and the distances of all pairs of them.

    Distances to channels that are gone, and to themselves, are infinite where the nearest pair is
    looked for, and minus infinite where the farthest is.
    """

    def __init__(self, incoming: np.ndarray, outgoing: np.ndarray, added: bool) -> None:
        d = len(incoming)
        self.added = added
        self.incoming = incoming
        self.outgoing = outgoing
        self.counts = np.ones(d)
        self.left = np.ones(d, bool)
        self.near = np.stack([self._distances(channel) for channel in range(d)])
        self.far = np.where(np.isfinite(self.near), self.near, -np.inf)

    def nearest(self) -> tuple[tuple[int, int], float]:
        """Return the nearest pair, the first channel first, and its ratio to the farthest."""
        row, column = np.unravel_index(self.near.argmin(), self.near.shape)
        smallest = self.near[row, column]
        largest = self.far.max()
        ratio = smallest / largest if largest > 0 else 0.0
        return (int(min(row, column)), int(max(row, column))), float(ratio)

    def merge(self, kept: int, gone: int) -> None:
        """Let a channel stand for another one as well."""
        a = self.counts[kept]
        b = self.counts[gone]
        mean = (a / (a + b), b / (a + b))
        _combine(self.incoming, kept, gone, (1.0, 1.0) if self.added else mean)
        _combine(self.outgoing, kept, gone, mean)
        self.counts[kept] = a + b
        self.left[gone] = False
        distances = self._distances(kept)
        for table, nothing in ((self.near, np.inf), (self.far, -np.inf)):
            table[gone] = table[:, gone] = nothing
            table[kept] = table[:, kept] = np.where(np.isfinite(distances), distances, nothing)

    def _distances(self, channel: int) -> np.ndarray:
        """Return squared distances of a channel to all others that are left: (d,)."""
        total = np.zeros(len(self.left))
        norms = np.zeros(len(self.left))
        for gram in (self.incoming, self.outgoing):
            both = gram.diagonal() + gram[channel, channel]
            total += both - 2 * gram[channel]
            norms += both
        total[total <= EQUAL * norms] = 0
        total[~self.left] = np.inf
        total[channel] = np.inf
        return total


def _combine(gram: np.ndarray, kept: int, gone: int, by: Sequence[float]) -> None:
    """Put a linear combination of two channels in the place of the first, in a Gram matrix."""
    row = by[0] * gram[kept] + by[1] * gram[gone]
    row[kept] = by[0] * row[kept] + by[1] * row[gone]
    gram[kept] = gram[:, kept] = row
