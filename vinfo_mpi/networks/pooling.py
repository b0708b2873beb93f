"""Feature maps as one vector per image: means over the whole map, or over the cells of a grid."""

from __future__ import annotations

from math import isqrt

import torch
from torch import nn

INPUT = "input"  # the name of the images themselves among the taps


def of_map(values: torch.Tensor, pooling: str) -> torch.Tensor:
    """Return means over positions of feature maps, channel by channel.

    Parameters
    ----------
    values : (N, C, H, W) tensor
    pooling : str
        ``mean``, ``grid:G`` for G x G cells, or ``equal:n`` for as many as `cells` says.

    Returns
    -------
    (N, d) tensor
        The cells of a channel side by side.
    """
    if pooling == "mean":
        return values.mean((2, 3))
    kind, _, number = pooling.partition(":")
    side = int(number) if kind == "grid" else cells(int(number), *values.shape[1:])
    return nn.functional.adaptive_avg_pool2d(values, side).flatten(1)


def cells(numbers: int, channels: int, height: int, width: int) -> int:
    """Return the side of the smallest grid that leaves at least so many numbers of a map.

    No finer than the map itself. A map of as many channels, or more, keeps one cell: its mean.

    >>> [cells(64, channels, 32, 32) for channels in (3, 8, 16, 32, 64, 512)]
    [5, 3, 2, 2, 1, 1]
    """
    side = 1 + isqrt((numbers - 1) // channels)
    return min(side, height, width)
