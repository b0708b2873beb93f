"""Which positions of a feature map are kept."""

from __future__ import annotations

import numpy as np

from vinfo_mpi.numerics.hashing import hashed
from vinfo_mpi.run.run import Run

PILOT = 64  # images whose mean activations are subtracted before anything is stored


def kept_positions(run: Run, ids: np.ndarray, count: int) -> np.ndarray:
    """Return which positions of each image are kept, ascending: (N, n) int64, chosen by hash."""
    wanted = run.config.extract.positions
    if wanted == "all" or wanted >= count:
        return np.tile(np.arange(count), (len(ids), 1))
    keys = hashed(ids[:, None] * count + np.arange(count), run.config.seed)
    return np.sort(np.argsort(keys, axis=1, kind="stable")[:, :wanted], axis=1)
