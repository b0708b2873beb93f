"""Random crops with noise: what holds under them is the concept, not a flaw of the network."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

SMALLEST = 0.9  # side of a crop, relative to the picture
NOISE = 0.1  # standard deviation, on pictures with values in [0, 1]


def transformed(images: torch.Tensor, keys: np.ndarray, seed: int, size: int) -> torch.Tensor:
    """Return a random crop of each picture, of its own key alone, with noise: (B, 3, size, size).

    Parameters
    ----------
    images : (B, 3, S, S) tensor
    keys : (B, n) integer array
        What each crop is for, not negative: concept and step.
    seed : int
        Another seed, other crops.
    size : int
        Pixels of a crop's side, once enlarged.
    """
    generators = [np.random.default_rng([seed, *key]) for key in keys.tolist()]
    # Of every generator first the crop, then the noise.
    places = [generator.random(3, np.float32) for generator in generators]
    shape = images.shape[1:]
    noises = [generator.standard_normal(shape, np.float32) for generator in generators]
    uniform = torch.from_numpy(np.stack(places)).to(images)
    noise = torch.from_numpy(np.stack(noises)).to(images)
    side = SMALLEST + (1 - SMALLEST) * uniform[:, 0]
    crops = torch.zeros(len(side), 2, 3).to(images)
    crops[:, 0, 0] = crops[:, 1, 1] = side
    crops[:, :, 2] = (1 - side)[:, None] * (2 * uniform[:, 1:] - 1)  # within the picture
    grid = functional.affine_grid(crops, [len(side), 3, size, size], align_corners=False)
    noisy = images + NOISE * noise
    return functional.grid_sample(noisy, grid, padding_mode="border", align_corners=False)
