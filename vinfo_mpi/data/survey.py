"""A look at a few images beforehand: what would be wrong without a word is said, or refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from vinfo_mpi.config.schema import Data
from vinfo_mpi.errors import InputError
from vinfo_mpi.numerics.arrays import evenly_spaced
from vinfo_mpi.parallel.logs import log

LOOKS = 16
ORIENTATION = 0x0112  # the tag of EXIF; 1: as stored


def check_repeatable(read: Callable[[int], Any], images: int, source: str) -> None:
    """Raise `InputError` if an image is another one each time it is read.

    Activations would not be those of the images that the report shows.
    """
    with torch.random.fork_rng([]):
        for index in evenly_spaced(images, LOOKS).tolist():
            try:
                first = np.asarray(read(index))
                second = np.asarray(read(index))
            except Exception:
                continue  # it is told when it is read in earnest
            if not np.array_equal(first, second):
                raise InputError(
                    f"data.source {source}: image {index} differs each time it is read; "
                    "leave random transforms out of the data set (train.augment augments)"
                )


def say_what_files_hold(paths: Sequence[str], data: Data) -> None:
    """Say what is done with rotated, transparent, animated and 16-bit images, if there are any."""
    looked_at = evenly_spaced(len(paths), LOOKS).tolist()
    counts = dict.fromkeys(_SAID, 0)
    largest = 0
    for index in looked_at:
        try:
            with Image.open(paths[index]) as image:
                counts["rotated"] += image.getexif().get(ORIENTATION, 1) != 1
                counts["transparent"] += image.has_transparency_data
                counts["animated"] += getattr(image, "is_animated", False)
                if image.mode.startswith("I;16"):
                    counts["of 16 bits"] += 1
                    largest = max(largest, int(np.asarray(image).max()))
        except Exception:
            continue  # it is told when it is read in earnest
    for kind, count in counts.items():
        if count:
            what = _SAID[kind](data, largest)
            log.info("data: %d of %d images checked are %s: %s", count, len(looked_at), kind, what)


def _rotation(data: Data, largest: int) -> str:
    if data.exif_rotation:
        return "turned as their EXIF orientation says"
    return "taken as stored (data.exif_rotation: true turns them)"


def _transparency(data: Data, largest: int) -> str:
    if data.background:
        return f"laid over {data.background}"
    return "alpha is dropped (data.background lays them over a colour)"


def _depth(data: Data, largest: int) -> str:
    by = f"{data.white:g}" if data.white else "65535"
    return f"{by} is white, the largest value is {largest} (data.white changes that)"


_SAID: dict[str, Callable[[Data, int], str]] = {
    "rotated": _rotation,
    "transparent": _transparency,
    "animated": lambda data, largest: "their first frame is taken",
    "of 16 bits": _depth,
}
