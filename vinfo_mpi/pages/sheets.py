"""Many small images in one file: pages load few large files faster than thousands of small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from vinfo_mpi.storage.atomic import sync, writing

CONCEPTS = 50  # on a sheet: a multiple of COLUMNS
COLUMNS = 10  # of a sheet of thumbnails
THUMBNAIL = 48  # pixels per side


def write_tiles(path: Path, tiles: np.ndarray, quality: int) -> None:
    """Write one WebP file.

    Parameters
    ----------
    path : Path
    tiles : (rows, columns, S, S, 3 or 4) uint8 array
        RGB, or RGB and how opaque.
    quality : int
        From 1 to 100.
    """
    rows, columns, height, width, channels = tiles.shape
    sheet = tiles.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sheet).save(path, format="WEBP", quality=quality)
        sync(path)


def thumbnail_tiles(images: np.ndarray) -> np.ndarray:
    """Return images as the tiles of a sheet of thumbnails.

    (n, S, S, 3) to (n / COLUMNS, COLUMNS, s, s, 3) uint8 arrays.
    """
    if images.shape[1] > THUMBNAIL:
        images = np.stack([_shrunk(image) for image in images])
    return images.reshape(-1, COLUMNS, *images.shape[1:])


def _shrunk(image: np.ndarray) -> np.ndarray:
    size = (THUMBNAIL, THUMBNAIL)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
