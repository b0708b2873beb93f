"""Generated images with planted factors, whose availability and predictivity are set.

Two objects before a grating. Predictivity (how well a factor predicts the label) and availability
are separate knobs, as in Hermann et al. 2024, "On the Foundations of Shortcut Learning". Every
factor is binary and balanced; from simple to complex:

- colour: the objects are cool (0) or warm (1); linear in the mean of the pixels,
- texture: the stripes of the background are horizontal (0) or vertical (1); one oriented filter
  sees it,
- shape: both objects are angular (0: triangle, square) or round (1: disc, ring),
- relation: the two lie side by side (0) or one above the other (1). Each of them alone says nothing
  of it: it is anywhere with the same probability in both cases, so that no sum over the image of
  what single objects are and where they lie tells.

The label is three bits, surface + 2 form + 4 pair. Colour and texture each agree with the first,
shape with the second, relation with the third, with probability (1 + predictivity) / 2, and are
independent of everything else. Two controls have nothing to do with the label: brightness, the
mean of the 8-bit pixels, and noise, which is not in the image at all.

Difficulty takes away at most `HARDEST` of a contrast: what it leaves at 1 stays visible.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from vinfo_mpi.config.schema import Planted

# The bit of the label that a factor may predict.
BITS = {"colour": 0, "texture": 0, "shape": 1, "relation": 2}
BIT_NAMES = ["surface", "form", "pair"]
CLASSES = [f"surface {label & 1}, form {label >> 1 & 1}, pair {label >> 2}" for label in range(8)]
HARDEST = 0.8  # share of a contrast that difficulty 1 takes away
DESIGNED = 1  # streams of random numbers
CROSSED = 3

# Grey levels of 255. The sum of all amplitudes keeps every pixel within 0..255: nothing is clipped.
BRIGHTNESS = (100.0, 130.0)  # range of the mean
LIGHT = 70.0  # objects are lighter by
HUE = 40.0  # objects are redder or bluer by
STRIPES = 25.0  # amplitude of the grating
GRAIN = 8.0  # amplitude of the noise

# In pixels of an image of 32.
SIDE = (5.9, 6.4)  # square root of an object's area
TURN = np.pi / 36  # rotation at most
PERIOD = (4.5, 5.5)  # of the grating
# Between centre and border: the same for all shapes, so that places say nothing.
MARGIN = 6.0
APART = 16 - MARGIN  # between the centres, along the relation's axis: half the room
ASIDE = (1.0, 8.0)  # across it, at most: where the relation is easiest, and hardest


def design(planted: Planted, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return label, (N,) int64, and factors, name to (N,) float64, of every image.

    Those of an id do not depend on N.
    """
    draws = np.random.default_rng([seed, 0]).random((planted.images, 8))
    bits = draws[:, :3] < 0.5
    factors = {}
    for column, (name, bit) in enumerate(BITS.items(), start=3):
        agrees = draws[:, column] < (1 + getattr(planted.predictivity, name)) / 2
        factors[name] = (bits[:, bit] == agrees).astype(np.float64)
    values = 3 * planted.size**2
    low, high = BRIGHTNESS
    factors["brightness"] = np.round(values * (low + (high - low) * draws[:, 7])) / values
    factors["noise"] = np.random.default_rng([seed, 2]).standard_normal(planted.images)
    return bits @ np.array([1, 2, 4]), factors


def bits(labels: np.ndarray) -> np.ndarray:
    """Return the bits of labels: (N,) to (N, 3) bool."""
    return labels[:, None] >> np.arange(len(BIT_NAMES)) & 1 > 0


def crossed(images: int, seed: int) -> dict[str, np.ndarray]:
    """Return factors of which none tells anything of another: name to (N,) float64.

    Every combination of the binary ones comes equally often, if 16 divides the number of images.
    """
    numbers = np.arange(images)
    factors = {name: (numbers >> place & 1).astype(np.float64) for place, name in enumerate(BITS)}
    low, high = BRIGHTNESS
    draws = np.random.default_rng([seed, CROSSED, 0]).random(images)
    return factors | {"brightness": low + (high - low) * draws}


def draw(
    planted: Planted,
    seed: int,
    factors: dict[str, np.ndarray],
    index: int,
    stream: int = DESIGNED,
) -> np.ndarray:
    """Return the image of an id: (size, size, 3) uint8.

    Parameters
    ----------
    planted : Planted
    seed : int
    factors : dict of str to (N,) array
        As `design` or `crossed` gives them.
    index : int
    stream : int
        Of random numbers: `DESIGNED`, or `CROSSED` for images beside these.
    """
    rng = np.random.default_rng([seed, stream, index])
    size = planted.size
    stripes = _stripes(planted, bool(factors["texture"][index]), rng)
    cover = _cover(planted, bool(factors["shape"][index]), bool(factors["relation"][index]), rng)
    warm = bool(factors["colour"][index])
    hue = HUE * (1 - HARDEST * planted.difficulty.colour) * (1 if warm else -1)
    image = rng.uniform(-GRAIN, GRAIN, (size, size, 3))
    image += (stripes + cover * (LIGHT - stripes))[..., None]
    image[..., 0] += hue * cover
    image[..., 2] -= hue * cover
    image += factors["brightness"][index] - image.mean()
    # Rounding the running sum, not each value, makes the mean exact; every value is within 1 of
    # what it was.
    return np.diff(np.round(np.cumsum(image)), prepend=0).astype(np.uint8).reshape(image.shape)


def _stripes(planted: Planted, vertical: bool, rng: np.random.Generator) -> np.ndarray:
    """Return the grating: (size,) where it is the same in all rows, else (size, 1)."""
    pixel = 32 / planted.size
    period = rng.uniform(*PERIOD)
    phase = rng.random()
    wave = np.cos(2 * np.pi * (np.arange(planted.size) * pixel / period + phase))
    contrast = 1 - HARDEST * planted.difficulty.texture
    return STRIPES * contrast * (wave if vertical else wave[:, None])


def _cover(planted: Planted, curved: bool, stacked: bool, rng: np.random.Generator) -> np.ndarray:
    """Return how much of every pixel the two objects cover: (size, size)."""
    size = planted.size
    pixel = 32 / size
    cover = np.zeros((size, size))
    for centre in _places(stacked, planted.difficulty.relation, rng):
        distance = _outline(
            curved,
            member=int(rng.integers(2)),
            side=rng.uniform(*SIDE),
            turn=rng.uniform(-TURN, TURN),
            centre=centre,
            size=size,
            morph=planted.difficulty.shape,
        )
        cover += np.clip(0.5 - distance / pixel, 0, 1)
    return cover


def _places(
    stacked: bool, hard: float, rng: np.random.Generator
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the centres of the two objects, in pixels of an image of 32.

    Each is uniform in the square that the margin leaves, whatever the relation. Along its axis the
    second is half the square further, round its end; across it, a little aside, thrown back at the
    edge: both keep a uniform distribution uniform.
    """
    room = 2 * APART
    along, across = room * rng.random(2)
    aside = ASIDE[0] + (ASIDE[1] - ASIDE[0]) * hard
    second = room - abs(room - abs(across + aside * rng.uniform(-1, 1)))
    places = np.array([[across, along], [second, (along + APART) % room]])
    (y, x), (v, u) = (MARGIN + (places[:, ::-1] if stacked else places)).tolist()
    return (y, x), (v, u)


def _outline(
    curved: bool,
    member: int,
    side: float,
    turn: float,
    centre: tuple[float, float],
    size: int,
    morph: float,
) -> np.ndarray:
    """Return the signed distance of every pixel to the outline of an object: (size, size).

    Negative inside; the object's area is side².
    """
    y = _grid(size) - centre[0]
    x = _grid(size) - centre[1]
    radius = np.hypot(y[:, None], x)
    disc = radius - side / np.sqrt(np.pi)
    if curved and not member:
        return disc
    if curved:
        # A ring of the same area: the hole is half as wide as the whole.
        outer = side / np.sqrt(0.75 * np.pi)
        return np.abs(radius - 0.75 * outer) - 0.25 * outer
    corners = 3 + member
    angles = turn + np.pi / 2 + 2 * np.pi / corners * np.arange(corners)[:, None]  # a side below
    polygon = ((np.cos(angles) * x)[:, None] + (np.sin(angles) * y)[..., None]).max(0)
    # A regular polygon's area is corners tan(pi / corners) inner².
    polygon -= side / np.sqrt(corners * np.tan(np.pi / corners))
    return polygon + 0.5 * morph * (disc - polygon)


@lru_cache
def _grid(size: int) -> np.ndarray:
    """Return the centres of the pixels along a side, in pixels of an image of 32: (size,)."""
    return (np.arange(size) + 0.5) * 32 / size
