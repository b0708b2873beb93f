"""The layout of an activations file (vinfo-activations): samples, taps, the last tap's map, logits, the head."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vinfo_mpi.storage.hdf5 import Table, fixed_width
from vinfo_mpi.storage.rows import Column, RowReader

SCALES = {"sample": "samples/id"}
SAMPLE = ("sample",)
MAP = "penultimate/activations"  # the last tap unpooled


@dataclass(frozen=True)
class Layout:
    """What an activations file holds.

    Attributes
    ----------
    shifts : dict of str to (d,) float32 array
        What is subtracted from each tap, in forward order.
    branches : dict of str to (d,) float32 array
        The same for the branches of residual blocks, named ``block.main`` and ``block.shortcut``.
    pooling, dtype : str
        How taps are pooled and stored.
    outputs : int
        Number of logits.
    classes : list of str
        Names of the data set's classes.
    map_shape : tuple of int, or None
        Positions and channels of the last tap's map; None where it is not kept.
    head : arrays (C, d) and (C,), or None
        Weight and bias of a linear head.
    """

    shifts: dict[str, np.ndarray]
    branches: dict[str, np.ndarray]
    pooling: str
    dtype: str
    outputs: int
    classes: list[str]
    map_shape: tuple[int, int] | None
    head: tuple[np.ndarray, np.ndarray] | None

    def columns(self) -> dict[str, Column]:
        """Return the datasets with one row per sample."""
        columns = {
            "samples/id": Column((), "int64", Table(None, "stable id of the image in its data set", axes=SAMPLE)),
            "samples/label": Column((), "int64", Table(None, "class of the image", axes=SAMPLE)),
            "samples/prediction": Column((), "int64", Table(None, "class with the largest logit", axes=SAMPLE)),
            "samples/held_out": Column((), "uint8", Table(None, "1 where the image was not learned from", axes=SAMPLE)),
            "outputs": Column((self.outputs,), "float32", Table(None, "logits", axes=("sample", "class"))),
        }
        for order, name in enumerate(self.shifts):
            columns[f"taps/{name}/activations"] = self._pooled(order, name, "block", self.shifts[name])
            text = "share of the values, before pooling, that are not zero"
            columns[f"taps/{name}/nonzero"] = Column((), "float32", Table(None, text, axes=SAMPLE))
        for order, name in enumerate(self.branches):
            block, kind = name.rsplit(".", 1)
            columns[f"taps/{name}/activations"] = self._pooled(order, block, kind, self.branches[name])
        if self.map_shape:
            text = "the last tap, one vector per image and position"
            table = Table(None, text, axes=("sample", "position", "channel"))
            columns[MAP] = Column(self.map_shape, self.dtype, table)
        return columns

    def _pooled(self, order: int, module: str, kind: str, shift: np.ndarray) -> Column:
        text = "activations minus the shift, one vector per image"
        attributes = {"order": order, "module": module, "kind": kind, "pooling": self.pooling}
        return Column(shift.shape, self.dtype, Table(None, text, axes=("sample", "channel"), attributes=attributes))

    def tables(self) -> dict[str, Table]:
        """Return the small datasets."""
        text = "mean over a few images, subtracted before storing: true activation = stored + shift"
        shifts = self.shifts | self.branches
        tables = {f"taps/{name}/shift": Table(shift, text, axes=("channel",)) for name, shift in shifts.items()}
        tables["classes"] = Table(fixed_width(self.classes), "name of each class of the data set", axes=("class",))
        if self.head is not None:
            text = "logits = weight · mean(last tap) + bias"
            tables["head/weight"] = Table(self.head[0], text, axes=("class", "channel"))
            tables["head/bias"] = Table(self.head[1], text, axes=("class",))
        return tables


class ActivationReader(RowReader):
    """Reads an activations file."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "vinfo-activations")

    @property
    def taps(self) -> list[str]:
        """The taps in forward order; the last one is the penultimate layer."""
        return self._of_kinds("block")

    @property
    def branches(self) -> list[str]:
        """Main branch and shortcut of every residual block, in forward order: block.main, block.shortcut, ..."""
        return self._of_kinds("main", "shortcut")

    def _of_kinds(self, *kinds: str) -> list[str]:
        found = [name for name in self.names("taps") if self.attribute(f"taps/{name}/activations", "kind") in kinds]
        return sorted(found, key=lambda name: self.attribute(f"taps/{name}/activations", "order"))

    @property
    def classes(self) -> list[str]:
        """Names of the data set's classes."""
        return [name.decode() for name in self.read("classes")]
