"""Stored data of the analysed images: the last tap, the logits, the factors."""

from __future__ import annotations

import numpy as np
import torch

from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import MAP, ActivationReader


class Observed:
    """Stored data of the images, as concepts.

    Each method returns it for some rows, in float64 on this rank's device.

    Parameters
    ----------
    run : Run
    activations : ActivationReader
        Of the network that is analysed.

    Attributes
    ----------
    map_shape : tuple of int
        Images, positions and channels of the last tap.
    channels : int
        Of the last tap.
    """

    def __init__(self, run: Run, activations: ActivationReader) -> None:
        self.run = run
        self.activations = activations
        self.map_shape = activations.shape(MAP)
        self.channels = self.map_shape[2]
        self._last = f"taps/{activations.map_tap}"
        self._shift = run.tensor(activations.read(f"{self._last}/shift"))

    def read(self, names: tuple[str, ...], rows: range) -> dict[str, torch.Tensor]:
        """Return what these methods do, by name."""
        return {name: getattr(self, name)(rows) for name in names}

    def map(self, rows: range) -> torch.Tensor:
        """The last tap, one vector per position: (B, P, d)."""
        return self._stored(MAP, rows)

    def pooled(self, rows: range) -> torch.Tensor:
        """The last tap, averaged over positions: (B, d).

        Raises
        ------
        InputError
            If it is pooled to the cells of a grid, and not all of its positions are kept.
        """
        if len(self._shift) == self.channels:
            return self._stored(f"{self._last}/activations", rows) + self._shift
        # Cells overlap where a grid does not divide the map: their mean is not that of positions.
        positions = self.activations.shape(MAP)[1]
        at_most = self.run.config.extract.positions
        if at_most != "all" and at_most <= positions:
            raise InputError(
                f"extract.pooling: {self.run.config.extract.pooling}, and extract.positions keeps "
                f"{at_most} of the last tap's positions: its mean over all of them, which "
                f"dictionary.source: {self.run.config.dictionary.source} needs, is not stored; set "
                "extract.positions: all, or extract.pooling: mean"
            )
        parts = batches(rows, max(1, len(rows) // positions))  # as many vectors as rows at a time
        return torch.cat([self.map(part).mean(1) for part in parts])

    def logits(self, rows: range) -> torch.Tensor:
        """The network's outputs: (B, C)."""
        return self._stored("outputs", rows)

    def factors(self, rows: range) -> torch.Tensor:
        """The factors that the images were made with: (B, F)."""
        ids = self.activations.read("samples/id", rows)
        columns = [values[ids] for values in self.run.subject.images.factors.values()]
        return self.run.tensor(np.stack(columns, axis=1))

    def _stored(self, name: str, rows: range) -> torch.Tensor:
        return self.run.tensor(self.activations.read(name, rows))


def factors(run: Run) -> dict[str, np.ndarray]:
    """Return the factors of the data set, name to (N,) array by id.

    Raises
    ------
    InputError
        Where it has none, or one is not known of all analysed images.
    """
    by_name = run.subject.images.factors
    for name, values in by_name.items():
        missing = run.subject.ids[np.isnan(values[run.subject.ids])]
        if len(missing):
            raise InputError(
                f"the factor '{name}' of data.source {run.config.data.source} has no value for "
                f"{len(missing)} of {len(run.subject.ids)} images (first: {missing[0]}); give "
                "values, or leave these images out by data.on_missing_factor: skip"
            )
    if not by_name:
        raise InputError(
            f"dictionary.source is factors, but the images of data.source {run.config.data.source} "
            "have none; use data.source: planted, or a function that returns "
            "vinfo_mpi.data.datasets.Images with factors"
        )
    return by_name
