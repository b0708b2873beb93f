"""The layout of an activations file (vinfo-activations).

Samples, taps, the last tap's map, logits, the head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.storage.hdf5 import Table, fixed_width
from vinfo_mpi.storage.rows import Column, RowReader

SCALES = {"sample": "samples/id"}
SAMPLE = ("sample",)
MAP = "penultimate/activations"  # the last tap unpooled
CONTENT = "samples/content"
UNLABELLED = "unlabelled"  # the one class of images without labels


@dataclass(frozen=True)
class Layout:
    """Contents of an activations file.

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
        Positions and channels of the map; None where it is not kept.
    head : arrays (C, d) and (C,), or None
        Weight and bias of a linear head.
    map_tap : str
        The tap whose map it is.
    """

    shifts: dict[str, np.ndarray]
    branches: dict[str, np.ndarray]
    pooling: str
    dtype: str
    outputs: int
    classes: list[str]
    map_shape: tuple[int, int] | None
    head: tuple[np.ndarray, np.ndarray] | None
    map_tap: str = "last"

    def columns(self) -> dict[str, Column]:
        """Return the datasets with one row per sample."""
        logits = Table(None, "logits", axes=("sample", "class"))
        columns = {
            "samples/id": _number("int64", "stable id of the image in its data set"),
            "samples/label": _number("int64", "class of the image"),
            "samples/prediction": _number("int64", "class with the largest logit"),
            "samples/held_out": _number("uint8", "1 where the image was not learned from"),
            CONTENT: _number("int64", "hash of what the network saw: copies have the same"),
            "outputs": Column((self.outputs,), "float32", logits),
        }
        for order, (name, shift) in enumerate(self.shifts.items()):
            columns[f"taps/{name}/activations"] = self._pooled(order, name, "block", shift)
            text = "share of the values, before pooling, that are not zero"
            columns[f"taps/{name}/nonzero"] = _number("float32", text)
        for order, (name, shift) in enumerate(self.branches.items()):
            block, kind = name.rsplit(".", 1)
            columns[f"taps/{name}/activations"] = self._pooled(order, block, kind, shift)
        if self.map_shape:
            text = f"the {self.map_tap} tap, one vector per image and position"
            attributes = {} if self.map_tap == "last" else {"tap": self.map_tap}
            axes = ("sample", "position", "channel")
            table = Table(None, text, axes=axes, attributes=attributes)
            columns[MAP] = Column(self.map_shape, self.dtype, table)
        return columns

    def _pooled(self, order: int, module: str, kind: str, shift: np.ndarray) -> Column:
        text = "activations minus the shift, one vector per image"
        attributes = {"order": order, "module": module, "kind": kind, "pooling": self.pooling}
        table = Table(None, text, axes=("sample", "channel"), attributes=attributes)
        return Column(shift.shape, self.dtype, table)

    def tables(self) -> dict[str, Table]:
        """Return the small datasets."""
        text = "mean over a few images, subtracted before storing: true activation = stored + shift"
        tables = {}
        for name, shift in (self.shifts | self.branches).items():
            tables[f"taps/{name}/shift"] = Table(shift, text, axes=("channel",))
        names = fixed_width(self.classes)
        tables["classes"] = Table(names, "name of each class of the data set", axes=("class",))
        if self.head is not None:
            weight, bias = self.head
            text = "logits = weight · mean(last tap) + bias"
            tables["head/weight"] = Table(weight, text, axes=("class", "channel"))
            tables["head/bias"] = Table(bias, text, axes=("class",))
        return tables


def _number(dtype: str, text: str) -> Column:
    """Return a column of one number per sample."""
    return Column((), dtype, Table(None, text, axes=SAMPLE))


class ActivationReader(RowReader):
    """Reads an activations file."""

    def __init__(self, path: Path, count_bytes: Callable[[int], None] = lambda count: None) -> None:
        super().__init__(path, "vinfo-activations", count_bytes)

    @property
    def taps(self) -> list[str]:
        """The taps in forward order; the last one is the penultimate layer."""
        return self._of_kinds("block")

    @property
    def map_tap(self) -> str:
        """The tap whose map is stored, and whose vectors are expressed in concepts."""
        return str(self.file[MAP].attrs.get("tap", self.taps[-1]))

    @property
    def branches(self) -> list[str]:
        """Main branch and shortcut of every residual block, in forward order.

        block.main, block.shortcut, ...
        """
        return self._of_kinds("main", "shortcut")

    def _of_kinds(self, *kinds: str) -> list[str]:
        orders = {}
        for name in self.names("taps"):
            if self.attribute(f"taps/{name}/activations", "kind") in kinds:
                orders[name] = self.attribute(f"taps/{name}/activations", "order")
        return sorted(orders, key=lambda name: orders[name])

    def ids_of_originals(self) -> np.ndarray:
        """Return the id of every image, of copies of an image that of the first: (N,) int64."""
        ids = self.read("samples/id")
        if CONTENT not in self:  # written by an earlier version
            return ids
        _, first, which = np.unique(self.read(CONTENT), return_index=True, return_inverse=True)
        return ids[first][which]

    @property
    def classes(self) -> list[str]:
        """Names of the data set's classes."""
        return [name.decode() for name in self.read("classes")]

    @property
    def labelled(self) -> bool:
        """Whether the images have labels."""
        return self.classes != [UNLABELLED]

    def require_labels(self, what: str) -> None:
        """Raise `NotApplicable` for an analysis of images without labels."""
        if not self.labelled:
            raise NotApplicable(f"{what} compares with labels, and the images have none")
