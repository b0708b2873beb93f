"""Activation codes: which units are on for an image, as bits; He et al. 2021, "Hash encoders".

The codes of an image are compared by 128-bit hashes: two different ones have the same with a
probability of 2^-128. Some bits are kept as they are, of units drawn by the seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from vinfo_mpi.numerics.hashing import hashed

WORD = 64  # bits
STREAMS = 2  # words of a hash


@dataclass(frozen=True)
class SomeUnits:
    """Which units' bits are kept.

    Attributes
    ----------
    of_layers : list of (k,) int64 array
        Units of each layer, in an order drawn by the seed: the first of them are fewer units, drawn
        in the same way.
    together : (k,) int64 array
        The same of all layers together: columns of the bits kept of the layers side by side.
    """

    of_layers: list[np.ndarray]
    together: np.ndarray

    @property
    def counts(self) -> list[int]:
        """How many bits are kept of each layer, and of all together."""
        return [*map(len, self.of_layers), len(self.together)]


def some_units(sizes: Sequence[int], count: int, seed: int) -> SomeUnits:
    """Return `count` units of each of the layers of these sizes, and of all of them together.

    All of a layer that has fewer.
    """
    layers = []
    orders = []
    start = 0
    for size in sizes:
        order = hashed(np.arange(start, start + size), seed)
        units = np.argsort(order)[:count]
        layers.append(units)
        orders.append(order[units])
        start += size
    return SomeUnits(layers, np.argsort(np.concatenate(orders))[:count])


def packed(bits: torch.Tensor) -> np.ndarray:
    """Return (B, U) truth values as (B, ceil(U / 64)) uint64 words, filled up with zeros."""
    images, units = bits.shape
    filled = bits.new_zeros(images, -(-units // WORD) * WORD)
    filled[:, :units] = bits
    eighths = filled.view(torch.uint8).view(images, -1, 8)
    octets = torch.zeros_like(eighths[..., 0])
    for place in range(8):
        octets |= eighths[..., place] << place
    return octets.cpu().numpy().view(np.uint64)


def unpacked(words: np.ndarray, units: int) -> np.ndarray:
    """Return the truth values that `packed` was given: (B, U) bool."""
    octets = np.ascontiguousarray(words).view(np.uint8)
    return np.unpackbits(octets, axis=1, count=units, bitorder="little").astype(bool)


def hashes(words: np.ndarray) -> np.ndarray:
    """Return the hash of each row of words: (B, W) to (B, 2) uint64.

    Every word is mixed with its place, and the mixtures of a row are added modulo 2^64.
    """
    streams = []
    for stream in range(STREAMS):
        keys = hashed(np.arange(words.shape[1]), stream)
        streams.append(hashed((words ^ keys).view(np.int64), stream).sum(1, dtype=np.uint64))
    return np.stack(streams, 1)


def redundancy(codes: np.ndarray) -> tuple[float, float]:
    """Return the share of the images that add no code of their own, and its standard error.

    (N - number of different codes) / N; the jackknife's error over the images, in closed form: to
    leave out an image changes the number only where no other image has its code.

    Parameters
    ----------
    codes : (N, w) integer array
        Equal rows are equal codes.
    """
    n = len(codes)
    _, counts = np.unique(codes, axis=0, return_counts=True)
    alone = (counts == 1).sum() / n
    error = np.sqrt(alone * (1 - alone) / (n - 1)) if n > 1 else np.nan
    return (n - len(counts)) / n, float(error)
