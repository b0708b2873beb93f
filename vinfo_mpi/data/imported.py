"""Activations that another program has extracted: which arrays they are, and their images.

An imported image is the number of its row: a picture of one pixel, from which the imported network
(`vinfo_mpi.networks.imported`) reads what its layers gave.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vinfo_mpi.config.schema import Data
from vinfo_mpi.data.images import Images
from vinfo_mpi.errors import InputError
from vinfo_mpi.storage.array_files import RowsOfArray

FILE = "imported.json"
LAYOUTS = {2: "NC", 3: "NTC", 4: "NCHW"}
MOST = 2**24  # rows whose numbers float32 tells apart


@dataclass(frozen=True)
class Imported:
    """Arrays of a network's layers, in forward order, and what is known of their images.

    Attributes
    ----------
    layers : dict of str to str
        Where the array of each layer lies: (N, d), (N, P, d) or (N, C, H, W).
    labels, ids, logits : str, or None
        Where these lie: (N,), (N,), (N, C).
    weight, bias : str, or None
        Those of a linear head of the last layer's mean: (C, d), (C,).
    classes : list of str
        Their names; as many as there are logits or labels where it is empty.
    """

    layers: dict[str, str]
    labels: str | None = None
    ids: str | None = None
    logits: str | None = None
    weight: str | None = None
    bias: str | None = None
    classes: tuple[str, ...] = ()

    @property
    def files(self) -> list[Path]:
        """Every file that is read."""
        places = [*self.layers.values(), self.labels, self.ids, self.logits, self.weight, self.bias]
        whole = [place for place in places if place is not None]
        return [Path(each if Path(each).exists() else each.rpartition(":")[0]) for each in whole]

    @cached_property
    def arrays(self) -> dict[str, RowsOfArray]:
        """The arrays of the layers.

        Raises
        ------
        InputError
            Where one has another shape, or another number of rows than the first.
        """
        arrays = {name: RowsOfArray(at, f"layer {name}:") for name, at in self.layers.items()}
        first = next(iter(arrays))
        for name, array in arrays.items():
            if len(array.shape) not in LAYOUTS:
                raise InputError(
                    f"{array.where} has shape {array.shape}; expected (N, d), (N, P, d) or "
                    "(N, C, H, W)"
                )
            if array.shape[0] != arrays[first].shape[0]:
                raise InputError(
                    f"layer {first} has {arrays[first].shape[0]} rows, layer {name} "
                    f"{array.shape[0]}; give the same images in the same order"
                )
        if arrays[first].shape[0] > MOST:
            raise InputError(f"there are more than {MOST} rows; import fewer images at once")
        return arrays

    @property
    def count(self) -> int:
        """Number of images."""
        return next(iter(self.arrays.values())).shape[0]

    def column(self, name: str) -> np.ndarray | None:
        """Return the labels or ids, None where there are none: (N,)."""
        place = getattr(self, name)
        if place is None:
            return None
        array = RowsOfArray(place, f"{name}:")
        if array.shape != (self.count,):
            raise InputError(
                f"{array.where} has shape {array.shape}; expected ({self.count},), one for each "
                "row of the layers"
            )
        return array.all()


def read(folder: Path) -> Imported:
    """Return what has been imported into a folder."""
    path = folder / FILE
    if not path.is_file():
        raise InputError(
            f"data.source: imported, but {path} does not exist; make it by "
            "python -m vinfo_mpi.import_activations"
        )
    content: dict[str, Any] = json.loads(path.read_text())
    return Imported(**content | {"classes": tuple(content["classes"])})


def images(data: Data, seed: int) -> Images:
    """Return the rows of imported activations as images.

    Raises
    ------
    InputError
        For labels that are no whole numbers, ids that come twice, or arrays that do not fit.
    """
    imported = read(Path(data.root or "."))
    n = imported.count
    labels = imported.column("labels")
    names = imported.column("ids")
    if names is not None:
        _check_unique(names)
    if labels is None:
        labels = np.zeros(n, np.int64)
    elif labels.dtype.kind not in "iu":
        raise InputError(f"labels: {imported.labels} holds {labels.dtype}, not whole numbers")
    return Images(
        _numbered,
        labels.astype(np.int64),
        np.zeros(n, bool),
        list(imported.classes),
        names=None if names is None else [str(name) for name in names.tolist()],
    )


def _numbered(index: int) -> torch.Tensor:
    """Return the picture that stands for a row."""
    return torch.full((1, 1, 1), float(index))


def _check_unique(ids: np.ndarray) -> None:
    """Raise `InputError` where an id comes twice."""
    _, first, counts = np.unique(ids, return_index=True, return_counts=True)
    if (counts > 1).any():
        twice = ids[first[counts > 1][0]]
        rows = np.flatnonzero(ids == twice)[:2]
        raise InputError(f"ids: {twice} is that of rows {rows[0]} and {rows[1]}; give each its own")
