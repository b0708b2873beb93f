"""The layout of an activations file (vinfo-activations): samples, taps, the last tap's map, logits, the head."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vinfo_mpi.storage.files import Table, fixed_width
from vinfo_mpi.storage.rows import Column, RowReader

SCALES = {"sample": "samples/id"}
SAMPLE = ("sample",)


@dataclass(frozen=True)
class Layout:
    """What an activations file holds.

    Attributes
    ----------
    shifts : dict of str to (d,) float32 array
        What is subtracted from each tap, in forward order.
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
        for order, (name, shift) in enumerate(self.shifts.items()):
            attributes = {"order": order, "module": name, "kind": "block", "pooling": self.pooling}
            text = "activations minus the shift, one vector per image"
            table = Table(None, text, axes=("sample", "channel"), attributes=attributes)
            columns[f"taps/{name}/activations"] = Column(shift.shape, self.dtype, table)
        if self.map_shape:
            text = "the last tap, one vector per image and position"
            table = Table(None, text, axes=("sample", "position", "channel"))
            columns["penultimate/activations"] = Column(self.map_shape, self.dtype, table)
        return columns

    def tables(self) -> dict[str, Table]:
        """Return the small datasets."""
        text = "mean over a few images, subtracted before storing: true activation = stored + shift"
        tables = {f"taps/{name}/shift": Table(shift, text, axes=("channel",)) for name, shift in self.shifts.items()}
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
        return sorted(self.names("taps"), key=lambda name: self.attribute(f"taps/{name}/activations", "order"))

    @property
    def classes(self) -> list[str]:
        """Names of the data set's classes."""
        return [name.decode() for name in self.read("classes")]
