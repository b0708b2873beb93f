"""Random crops with noise: what holds under them is the concept, not a flaw of the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from vinfo_mpi.numerics.noise import from_each

SMALLEST = 0.9  # side of a crop, relative to the picture
NOISE = 0.1  # standard deviation, on pictures with values in [0, 1]


class Draws(NamedTuple):
    """Random numbers for the crops of some pictures.

    Attributes
    ----------
    places : (B, 3) float32 array
        Side, x and y of each crop, uniform in [0, 1).
    noise : (B, 3, S, S) float32 array
        Standard normal.
    """

    places: np.ndarray
    noise: np.ndarray


def draws(keys: np.ndarray, seed: int, shape: Sequence[int]) -> Draws:
    """Return what is random in a crop of each picture, of its own key alone.

    Parameters
    ----------
    keys : (B, n) integer array
        What each crop is for, not negative: concept and step.
    seed : int
        Another seed, other crops.
    shape : (3,) ints
        Of a picture.
    """
    generators = [np.random.default_rng([seed, *key]) for key in keys.tolist()]
    # Of every generator first the crop, then the noise.
    places = np.stack([generator.random(3, np.float32) for generator in generators])
    return Draws(places, from_each(generators, shape))


def transformed(images: torch.Tensor, drawn: Draws, size: int) -> torch.Tensor:
    """Return a random crop of each picture, with noise: (B, 3, size, size).

    Parameters
    ----------
    images : (B, 3, S, S) tensor
    drawn : Draws
    size : int
        Pixels of a crop's side, once enlarged.
    """
    uniform = torch.from_numpy(drawn.places).to(images)
    noise = torch.from_numpy(drawn.noise).to(images)
    side = SMALLEST + (1 - SMALLEST) * uniform[:, 0]
    crops = images.new_zeros(len(side), 2, 3)
    crops[:, 0, 0] = crops[:, 1, 1] = side
    crops[:, :, 2] = (1 - side)[:, None] * (2 * uniform[:, 1:] - 1)  # within the picture
    grid = functional.affine_grid(crops, [len(side), 3, size, size], align_corners=False)
    noisy = images + NOISE * noise
    return functional.grid_sample(noisy, grid, padding_mode="border", align_corners=False)
