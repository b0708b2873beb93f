"""Heat maps of a concept in an image, its codes position by position; and what dominates there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt

import numpy as np
import torch

from vinfo_mpi.concepts.at_positions import CodesAtPositions
from vinfo_mpi.networks import taps
from vinfo_mpi.networks.positions import kept_positions
from vinfo_mpi.numerics.eigen_cam import eigen_cam
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import MAP, ActivationReader
from vinfo_mpi.storage.row_content import read_rows
from vinfo_mpi.storage.rows import RowReader

LARGEST = 254  # the largest code of an image
NOT_KEPT = 255  # a position that was dropped by extract.positions


@dataclass(frozen=True)
class Maps:
    """Heat maps of all concepts in their images.

    Attributes
    ----------
    relative : (M, K, grid²) uint8 array
        Line by line: codes relative to the largest one of the image, 0 to 254; 255 where the
        position was not kept.
    largest : (M, K) float64 array
        The largest code of each image: what 254 stands for.
    """

    relative: np.ndarray
    largest: np.ndarray


class HeatMaps:
    """Heat maps of concepts in images.

    Parameters
    ----------
    run : Run
    activations : ActivationReader
        Of the final network.
    codes : RowReader

    Attributes
    ----------
    grid : int
        Positions per side; 0 where there are no heat maps: the map of the last tap is not square or
        a single value, or codes are not found in it.
    """

    def __init__(self, run: Run, activations: ActivationReader, codes: RowReader) -> None:
        self.run = run
        self.activations = activations
        self.ids = activations.read("samples/id")
        self._codes = CodesAtPositions(run, activations, codes)
        self._positions = self._all_positions()
        found_in_map = run.config.dictionary.kind_of_source.codes != "known"
        side = isqrt(self._positions)
        self.grid = side if found_in_map and side > 1 and side**2 == self._positions else 0

    def draw(self, rows: np.ndarray) -> Maps:
        """Return where in its images each concept is; the ranks divide the images.

        Parameters
        ----------
        rows : (M, K) int64 array
            Images of every concept; -1 for none.
        """
        maps = np.zeros((*rows.shape, self.grid**2), np.uint8)
        largest = np.zeros(rows.shape)
        if self.grid:
            images = np.unique(rows[rows >= 0])
            block = self.run.ranks.block(len(images))
            column, concept = np.nonzero(np.isin(rows, images[block.start : block.stop]))
            drawn = self._maps(rows[column, concept], concept)
            maps[column, concept] = drawn.relative
            largest[column, concept] = drawn.largest
        add = self.run.ranks.sum
        return Maps(add(torch.from_numpy(maps)).numpy(), add(torch.from_numpy(largest)).numpy())

    def dominant(self, images: np.ndarray) -> np.ndarray | None:
        """Return the Eigen-CAM of images, as `Maps.relative`; the ranks divide the images.

        Parameters
        ----------
        images : (n,) int64 array
            Ascending.

        Returns
        -------
        (n, grid²) uint8 array, or None
            None where a map has a single position, or there are no heat maps.
        """
        if not self.grid or self._codes.positions == 1:
            return None
        maps = np.zeros((len(images), self.grid**2), np.uint8)
        block = self.run.ranks.block(len(images))
        for here in self._batches(len(block), "report: Eigen-CAM"):
            place = slice(block.start + here.start, block.start + here.stop)
            rows = images[place]
            with self.run.clock.phase("read"):
                vectors = self.run.tensor(read_rows(self.activations, MAP, rows))
            with self.run.clock.phase("Eigen-CAM"):
                maps[place] = self._drawn(eigen_cam(vectors).cpu().numpy(), rows).relative
        return self.run.ranks.sum(torch.from_numpy(maps)).numpy()

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
        positions = self._codes.positions
        images, image = np.unique(rows, return_inverse=True)
        codes = np.zeros((len(rows), positions))
        for block in self._batches(len(images), "report: heat maps"):
            here = np.flatnonzero((image >= block.start) & (image < block.stop))
            codes[here] = self._codes.read(
                images[block.start : block.stop], image[here] - block.start, concepts[here]
            )
        return codes

    def _maps(self, rows: np.ndarray, concepts: np.ndarray) -> Maps:
        """Return the maps of a concept in an image each: two (n,) to (n, grid²) and (n,)."""
        return self._drawn(self.codes(rows, concepts), rows)

    def _batches(self, count: int, task: str) -> Iterator[range]:
        """Yield batches of so many images; every rank passes equally many safe points."""
        at_once = max(1, self.run.config.machine.rows // self._codes.positions)
        blocks = batches(range(count), at_once)
        for turn in self.run.progress(range(self.run.ranks.max(len(blocks))), task):
            self.run.safe_point()
            if turn < len(blocks):
                yield blocks[turn]

    def _drawn(self, values: np.ndarray, rows: np.ndarray) -> Maps:
        """Return values at the positions that are kept, (n, P), as the maps of these images."""
        values = values.clip(min=0)
        largest = values.max(axis=1, keepdims=True, initial=0)
        relative = (LARGEST * values / np.where(largest > 0, largest, 1)).round().astype(np.uint8)
        maps = np.full((len(rows), self._positions), NOT_KEPT, np.uint8)
        positions = kept_positions(self.run.config, self.ids[rows], self._positions)
        np.put_along_axis(maps, positions, relative, axis=1)
        return Maps(maps, largest[:, 0])

    def _all_positions(self) -> int:
        """Return how many positions the last tap's map has, with those that were not kept."""
        if self.run.config.extract.positions == "all":
            return self.activations.shape(MAP)[1]
        subject = self.run.subject
        network = subject.network(self.run.final)
        tap, blank = subject.tap(network, self.activations.map_tap)
        with torch.no_grad():
            reading = taps.read(network, [tap], blank, self.run.config.extract)
        return reading.map.shape[1]
