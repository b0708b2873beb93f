"""Eigen-CAM: what dominates the feature map of an image, whatever the concept.

After Muhammad & Yeasin 2020, "Eigen-CAM: Class Activation Map using Principal Components": the
vectors A at the positions of a map, projected on its first right singular vector, A v₁, not
centred.
"""

from __future__ import annotations

import numpy as np
import torch

ROUNDING = 1e-24  # of squares times squares: deviations that are no more than this are nothing


def eigen_cam(maps: torch.Tensor) -> torch.Tensor:
    """Return the projection of every map on its first right singular vector.

    Its sign is the one whose sum over the positions is not negative; a map of zeros gives zeros.

    Parameters
    ----------
    maps : (N, P, d) tensor
        The vectors at P positions of N images.

    Returns
    -------
    (N, P) float64 tensor
    """
    vectors = maps.double()
    if vectors.shape[1] <= vectors.shape[2]:
        # A v₁ = σ₁ u₁, and A Aᵀ has u₁ and σ₁².
        values, left = torch.linalg.eigh(vectors @ vectors.mT)
        projections = left[:, :, -1] * values[:, -1:].clamp(min=0).sqrt()
    else:
        _, right = torch.linalg.eigh(vectors.mT @ vectors)
        projections = (vectors @ right[:, :, -1:])[:, :, 0]
    return torch.where(projections.sum(1, keepdim=True) < 0, -projections, projections)


def correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the correlation over positions of two maps of each image.

    Parameters
    ----------
    x, y : (..., P) arrays
        NaN, in both, at positions that do not count.

    Returns
    -------
    (...) array
        NaN where a map is constant.
    """
    count = np.maximum(1, np.isfinite(x).sum(-1, keepdims=True))
    of_x = x - np.nansum(x, -1, keepdims=True) / count
    of_y = y - np.nansum(y, -1, keepdims=True) / count
    squares = np.nansum(of_x**2, -1) * np.nansum(of_y**2, -1)
    varies = squares > ROUNDING * np.nansum(x**2, -1) * np.nansum(y**2, -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(varies, np.nansum(of_x * of_y, -1) / np.sqrt(squares), np.nan)
