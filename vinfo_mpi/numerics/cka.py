"""Linear CKA of a representation with single concepts, from moments alone.

For one concept z the linear CKA of Kornblith et al. 2019, "Similarity of Neural Network
Representations Revisited", is ||A_cᵀ z_c||² / (||A_cᵀ A_c||_F ||z_c||²), with the activations A_c
and the concept centred. With a = cov(x, z), S = cov(x) and the channels masked by m ∈ {0, 1}ᵈ, this
becomes Σ_j m_j a_j² / (√(mᵀ (S∘S) m) var(z)).
"""

from __future__ import annotations

import numpy as np
import torch

from vinfo_mpi.numerics.moments import Moments
from vinfo_mpi.numerics.ridge import CONSTANT


def linear(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return the CKA of a representation with each concept.

    Parameters
    ----------
    x, z : (N, d), (N, K) arrays
        Activations and codes.

    Returns
    -------
    (K,) float64 array
        In [0, 1]; NaN for a concept without variance, and for all if x has none.
    """
    xs = torch.as_tensor(x, dtype=torch.float64)
    zs = torch.as_tensor(z, dtype=torch.float64)
    moments = Moments(1, xs.shape[1], zs.shape[1])
    moments.add(xs - xs.mean(0), zs - zs.mean(0), torch.zeros(len(xs), dtype=torch.int64))
    return from_moments(moments).numpy()


def from_moments(moments: Moments) -> torch.Tensor:
    """Return the CKA of x with each concept z: (K,) float64 tensor, with NaN as in `linear`."""
    return masked(moments, torch.ones(1, moments.x.shape[1]))[0]


def masked(moments: Moments, masks: torch.Tensor) -> torch.Tensor:
    """Return the CKA of masked activations x ⊙ m with each concept.

    Parameters
    ----------
    moments : Moments
        Of all folds together.
    masks : (M, d) tensor
        1 for the channels that are kept, 0 for the others.

    Returns
    -------
    (M, K) float64 tensor
        NaN for a concept without variance, and for a mask that leaves only constant channels.
    """
    n = moments.n.sum(0)
    x = moments.x.sum(0) / n
    z = moments.z.sum(0) / n
    xx = moments.xx.sum(0) / n
    zx = moments.zx.sum(1) / n
    zz = moments.zz.sum(0) / n
    covariance = xx - torch.outer(x, x)
    cross = zx - torch.outer(z, x)
    variance = zz - z.square()
    alive = covariance.diagonal() > CONSTANT * xx.diagonal()
    channels = masks.to(x) * alive
    size = ((channels @ covariance.square()) * channels).sum(1).sqrt()
    variance = torch.where(variance > CONSTANT * zz, variance, torch.nan)
    return channels @ cross.square().T / (size[:, None] * variance)


def redundancy(moments: Moments, masks: torch.Tensor) -> torch.Tensor:
    """Return the share of each concept's CKA that masked channels leave: (M, K) float64 tensor.

    0 where a mask leaves only constant channels; NaN for a concept whose CKA with all of x is 0 or
    NaN. Above 1 where the other channels hide the concept. Parameters as `masked`; the mean over
    random masks is the redundancy of Fel et al. 2024.
    """
    return masked(moments, masks).nan_to_num(0) / from_moments(moments)


def masks(d: int, rate: float, count: int, seed: int = 0) -> torch.Tensor:
    """Return random masks that keep round(rate · d) of d channels, at least one.

    (count, d) float64 tensor of 0 and 1. The number of channels is fixed, as independent draws
    would leave some masks empty.
    """
    channels = max(1, round(rate * d))
    order = torch.rand(count, d, generator=torch.Generator().manual_seed(seed)).argsort(1)
    result = torch.zeros(count, d, dtype=torch.float64)
    return result.scatter_(1, order[:, :channels], 1.0)
