"""Statistics of a picture that need no network: light, contrast, sharpness, colour."""

from __future__ import annotations

import torch

GREY = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601
NAMES = ("brightness", "contrast", "sharpness", "saturation", "red", "blue")


def statistics(pictures: torch.Tensor) -> torch.Tensor:
    """Return the statistics of pictures, in the order of `NAMES`.

    Brightness and contrast are mean and standard deviation of the grey values, sharpness the mean
    absolute difference of neighbours relative to the contrast, saturation the mean distance of the
    largest from the smallest channel, red and blue what these channels have more than grey.

    Parameters
    ----------
    pictures : (B, 3, H, W) tensor
        From 0 to 1.

    Returns
    -------
    (B, 6) float64 tensor
    """
    values = pictures.double()
    weights = torch.tensor(GREY, dtype=values.dtype, device=values.device)
    grey = torch.einsum("bchw,c->bhw", values, weights)
    brightness = grey.mean((1, 2))
    contrast = grey.std((1, 2), correction=0)
    down = grey.diff(dim=1).abs().mean((1, 2))
    across = grey.diff(dim=2).abs().mean((1, 2))
    sharpness = torch.where(contrast > 0, (down + across) / contrast.clamp(min=1e-12), 0.0)
    saturation = (values.amax(1) - values.amin(1)).mean((1, 2))
    red = values[:, 0].mean((1, 2)) - brightness
    blue = values[:, 2].mean((1, 2)) - brightness
    return torch.stack([brightness, contrast, sharpness, saturation, red, blue], dim=1)
