"""Codes of the analysed images position by position: as encode has kept them, or found again."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch

from vinfo_mpi.concepts import encoders
from vinfo_mpi.concepts.encoders import Encoder
from vinfo_mpi.numerics.sparse_codes import SparseCodes
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import MAP, ActivationReader
from vinfo_mpi.storage.codes import BY_POSITION
from vinfo_mpi.storage.row_content import read_rows
from vinfo_mpi.storage.rows import RowReader


class CodesAtPositions:
    """Codes of single concepts in single images, at every position that is kept.

    Parameters
    ----------
    run : Run
    activations : ActivationReader
        Of the final network.
    codes : RowReader

    Attributes
    ----------
    positions : int
        How many are kept of every image.
    """

    def __init__(self, run: Run, activations: ActivationReader, codes: RowReader) -> None:
        self.run = run
        self.activations = activations
        self.codes = codes
        self.positions = activations.shape(MAP)[1]
        counts = f"{BY_POSITION}/counts"
        self._kept = counts in codes and codes.shape(counts)[1] == self.positions

    def read(self, rows: np.ndarray, images: np.ndarray, concepts: np.ndarray) -> np.ndarray:
        """Return the codes of a concept in an image each.

        Parameters
        ----------
        rows : (B,) int64 array
            Images, ascending.
        images, concepts : (n,) int64 arrays
            Which of these images, and which concept in it.

        Returns
        -------
        (n, P) float64 array
        """
        codes = np.zeros((len(images), self.positions))
        whole = np.zeros(len(rows), bool)
        if self._kept:
            kept = self._read(rows)
            whole = kept.whole
            pairs = whole[images]
            codes[pairs] = kept.at_positions(images[pairs], concepts[pairs])
        if not whole.all():
            place = np.cumsum(~whole) - 1
            pairs = ~whole[images]
            codes[pairs] = self._find(rows[~whole], place[images[pairs]], concepts[pairs])
        return codes

    def _read(self, rows: np.ndarray) -> SparseCodes:
        """Return what encode has kept of some images."""
        with self.run.clock.phase("read"):
            columns = {
                name: read_rows(self.codes, f"{BY_POSITION}/{name}", rows)
                for name in ("counts", "atoms", "codes")
            }
        return SparseCodes(**columns)

    def _find(self, rows: np.ndarray, images: np.ndarray, concepts: np.ndarray) -> np.ndarray:
        """Return the same as `read`, from the last tap."""
        vectors = self.run.tensor(read_rows(self.activations, MAP, rows))
        with self.run.clock.phase("encode"):
            codes = encoders.at_positions(self._encoder, vectors.flatten(0, 1))
        assert codes is not None
        image, concept = torch.from_numpy(np.stack([images, concepts])).to(self.run.device)
        of_images = codes.reshape(*vectors.shape[:2], -1)
        return of_images[image, :, concept].cpu().numpy()

    @cached_property
    def _encoder(self) -> Encoder:
        return encoders.encoder(self.run)
