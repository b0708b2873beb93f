"""Colours as brightness and two opponent channels, nearly uncorrelated in photographs.

The basis is that of Ohta, Kanade, Sakai (1980), "Color Information for Region Segmentation", made
orthonormal: grey images have no opponent channels, whatever is done to their spectrum.
"""

from __future__ import annotations

import torch

# Orthogonal rows: brightness, red - blue, green - magenta.
OPPONENT = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 2.0, -1.0]])
OPPONENT /= OPPONENT.norm(dim=1, keepdim=True)


def to_opponent(images: torch.Tensor) -> torch.Tensor:
    """Return the opponent channels of RGB images, (..., 3, H, W)."""
    return torch.einsum("oc,...chw->...ohw", OPPONENT.to(images), images)


def to_rgb(channels: torch.Tensor) -> torch.Tensor:
    """Return the RGB images of opponent channels, (..., 3, H, W)."""
    return torch.einsum("oc,...ohw->...chw", OPPONENT.to(channels), channels)
