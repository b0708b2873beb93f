"""Linear CKA of a representation with single concepts, from moments alone.

For one concept z the linear CKA of Kornblith et al. 2019, "Similarity of Neural Network
Representations Revisited", is ||A_cᵀ z_c||² / (||A_cᵀ A_c||_F ||z_c||²), with the activations A_c
and the concept centred. With a = cov(x, z) and S = cov(x) this is ||a||² / (||S||_F var(z)).
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
    n = moments.n.sum(0)
    x = moments.x.sum(0) / n
    z = moments.z.sum(0) / n
    xx = moments.xx.sum(0) / n
    zx = moments.zx.sum(1) / n
    zz = moments.zz.sum(0) / n
    covariance = xx - torch.outer(x, x)
    varying = covariance.diagonal() > CONSTANT * xx.diagonal()
    covariance = covariance[varying][:, varying]
    cross = (zx - torch.outer(z, x))[:, varying]
    variance = zz - z.square()
    variance = torch.where(variance > CONSTANT * zz, variance, torch.nan)
    size = covariance.square().sum().sqrt()
    return cross.square().sum(1) / (size * variance)
