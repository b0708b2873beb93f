"""Small copies of the analysed images."""

from __future__ import annotations

import numpy as np
from torch.nn.functional import interpolate

from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.run.run import Run

GREY = 224  # of an image that is not there


class Thumbnails:
    """Small copies of images.

    Parameters
    ----------
    run : Run
    ids : (N,) int64 array
        Of the analysed images.

    Attributes
    ----------
    size : int
        Pixels per side.
    """

    def __init__(self, run: Run, ids: np.ndarray) -> None:
        self.run = run
        self.ids = ids
        self.size = min(run.config.report.thumbnail, *run.subject.preprocessing.size)

    def copies(self, rows: np.ndarray) -> np.ndarray:
        """Return copies of these images: (n,) int64 to (n, size, size, 3) uint8 array.

        Grey where there are no images.
        """
        subject = self.run.subject
        if not subject.has_images:
            return np.full((len(rows), self.size, self.size, 3), GREY, np.uint8)
        blocks = batches(range(len(rows)), self.run.batch)
        ids = [self.ids[rows[block.start : block.stop]] for block in blocks]
        copies = [np.zeros((0, self.size, self.size, 3), np.uint8)]
        for inputs, _, _ in subject.loader.batches(ids):
            images = subject.preprocessing.shown(inputs)
            small = interpolate(images, self.size, mode="bilinear", antialias=True)
            pixels = (255 * small.clamp(0, 1)).round().byte()
            copies.append(pixels.permute(0, 2, 3, 1).cpu().numpy())
        return np.concatenate(copies)
