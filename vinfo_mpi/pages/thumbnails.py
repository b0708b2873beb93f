"""What a person is shown of the analysed images: small copies, and where in them a concept is."""

from __future__ import annotations

from math import isqrt

import numpy as np
import torch
from torch.nn.functional import interpolate

from vinfo_mpi.concepts import encoders
from vinfo_mpi.networks import taps
from vinfo_mpi.networks.positions import kept_positions
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import MAP, ActivationReader


class Shown:
    """Small copies of images, and heat maps.

    Attributes
    ----------
    size : int
        Pixels per side of the copies.
    grid : int
        Positions per side of the heat maps; 0 where there are none: the map of the last tap is not square or a single value, or
        codes are not found in it.
    """

    def __init__(self, run: Run, activations: ActivationReader) -> None:
        self.run, self.activations = run, activations
        self.size = min(run.config.report.thumbnail, run.subject.preprocessing.size)
        self.ids = activations.read("samples/id")
        self._encoder = encoders.encoder(run)
        self._positions = self._all_positions()
        side = isqrt(self._positions)
        found = encoders.at_positions(self._encoder, run.tensor(self._map(np.zeros(1, np.int64)))[0])
        self.grid = side if found is not None and side > 1 and side**2 == self._positions else 0

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Return copies of these images: (n,) int64 to (n, size, size, 3) uint8 array."""
        subject = self.run.subject
        parts = [self.ids[rows[part.start : part.stop]] for part in batches(range(len(rows)), self.run.config.machine.batch)]
        copies = [np.zeros((0, self.size, self.size, 3), np.uint8)]
        for images, _, _ in subject.loader.batches(parts):
            seen = interpolate(subject.preprocessing.shown(images), self.size, mode="bilinear", antialias=True)
            copies.append((255 * seen.clamp(0, 1)).round().byte().permute(0, 2, 3, 1).cpu().numpy())
        return np.concatenate(copies)

    def codes(self, rows: np.ndarray, concepts: np.ndarray) -> np.ndarray:
        """Return the codes at every position that is kept.

        Parameters
        ----------
        rows, concepts : (n,) int64 arrays
            Which images, and which concept in each.

        Returns
        -------
        (n, P) float64 array
        """
        kept = self.activations.shape(MAP)[1]
        different, place = np.unique(rows, return_inverse=True)
        found = np.zeros((len(rows), kept))
        blocks = batches(range(len(different)), max(1, self.run.config.machine.rows // kept))
        for turn in self.run.progress(range(self.run.ranks.most(len(blocks))), "report: heat maps"):
            self.run.safe_point()
            if turn >= len(blocks):
                continue
            block = blocks[turn]
            vectors = self.run.tensor(self._map(different[block.start : block.stop]))
            with self.run.clock.phase("encode"):
                codes = encoders.at_positions(self._encoder, vectors.flatten(0, 1))
            here = np.flatnonzero((place >= block.start) & (place < block.stop))
            if codes is not None:
                every = codes.reshape(len(block), kept, -1).cpu().numpy()
                found[here] = every[place[here] - block.start, :, concepts[here]]
        return found

    def heat(self, rows: np.ndarray) -> np.ndarray:
        """Return where in its images each concept is, from the work of all ranks, which divide the images among them.

        Parameters
        ----------
        rows : (M, K) int64 array
            Images of every concept; -1 for none.

        Returns
        -------
        (M, K, grid²) uint8 array
            Line by line: codes relative to the largest one of the image, 0 to 254; 255 where the position was not kept.
        """
        heat = np.zeros((*rows.shape, self.grid**2), np.uint8)
        if self.grid:
            different = np.unique(rows[rows >= 0])
            own = self.run.ranks.block(len(different))
            place, concept = np.nonzero(np.isin(rows, different[own.start : own.stop]))
            images = rows[place, concept]
            codes = self.codes(images, concept).clip(min=0)
            largest = codes.max(axis=1, keepdims=True, initial=0)
            relative = (254 * codes / np.where(largest > 0, largest, 1)).round().astype(np.uint8)
            mine = np.full((len(images), self._positions), 255, np.uint8)
            np.put_along_axis(mine, kept_positions(self.run, self.ids[images], self._positions), relative, axis=1)
            heat[place, concept] = mine
        return self.run.ranks.sum(torch.from_numpy(heat)).numpy()

    def _map(self, rows: np.ndarray) -> np.ndarray:
        return np.concatenate([self.activations.read(MAP, range(row, row + 1)) for row in rows])

    def _all_positions(self) -> int:
        """Return how many positions the map of the last tap has, of which some may not have been kept."""
        kept = self.activations.shape(MAP)[1]
        if self.run.config.extract.positions == "all":
            return kept
        size, tap = self.run.subject.preprocessing.size, self.activations.taps[-1]
        with torch.no_grad():
            blank = torch.zeros(1, 3, size, size, device=self.run.device)
            return taps.read(self.run.subject.network(self.run.final), [tap], blank, self.run.config.extract).map.shape[1]
