"""Redundancy: how much of a concept can still be read when only some of the channels are there.

The paper (Fel et al. 2024, section 5) takes the share of the concept's CKA that random channels
keep. For a single concept its mean is the same whatever the number of channels that hold it (it is
the share of channels kept, times a factor of the tap): what is left is the noise of the masks. The
share of the V-information that random channels keep does tell one channel from many.
"""

from __future__ import annotations

import numpy as np
import torch

READABLE = 0.01  # V-information below which a share of it is a share of noise


def channel_masks(d: int, rate: float, count: int, seed: int = 0) -> torch.Tensor:
    """Return random masks that keep round(rate · d) of d channels, at least one.

    (count, d) bool tensor. With the same seed the channels kept at a low rate are also kept at
    higher ones.
    """
    channels = channels_kept(d, rate)
    order = torch.rand(count, d, generator=torch.Generator().manual_seed(seed)).argsort(1)
    return torch.zeros(count, d, dtype=torch.bool).scatter_(1, order[:, :channels], True)


def channels_kept(d: int, rate: float) -> int:
    """Return how many of d channels a mask keeps."""
    return max(1, round(rate * d))


def shares(masked: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return the share of the V-information that is left.

    Parameters
    ----------
    masked : (..., K) array
        V-information from the channels that masks keep.
    whole : (K,) array
        V-information from all channels.

    Returns
    -------
    (..., K) float64 array
        NaN for a concept that is not readable from all of them (below `READABLE`), or without
        variance.
    """
    return masked / np.where(whole >= READABLE, whole, np.nan)
