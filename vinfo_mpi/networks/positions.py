"""The positions of a feature map that are kept."""

from __future__ import annotations

import numpy as np

from vinfo_mpi.config.schema import Config
from vinfo_mpi.numerics.hashing import hashed

PILOT = 64  # images whose mean activations are subtracted before anything is stored


def kept_positions(config: Config, ids: np.ndarray, count: int) -> np.ndarray:
    """Return which of `count` positions of each image are kept: (N, n) int64, ascending.

    They are chosen by hash.
    """
    at_most = config.extract.positions
    if at_most == "all" or at_most >= count:
        return np.tile(np.arange(count), (len(ids), 1))
    keys = hashed(ids[:, None] * count + np.arange(count), config.seed)
    return np.sort(np.argsort(keys, axis=1, kind="stable")[:, :at_most], axis=1)
