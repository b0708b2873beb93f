"""Well-mixed numbers that follow from ids alone: what replaces random draws."""

from __future__ import annotations

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST = np.uint64(0xBF58476D1CE4E5B9)
SECOND = np.uint64(0x94D049BB133111EB)


def hashed(ids: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return a well-mixed uint64 for every id: the finaliser of SplitMix64 (Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        value = np.asarray(ids, np.int64).astype(np.uint64) + np.uint64(seed + 1) * GOLDEN
        value = (value ^ (value >> np.uint64(30))) * FIRST
        value = (value ^ (value >> np.uint64(27))) * SECOND
        return value ^ (value >> np.uint64(31))
