"""The columns of a codes file (vinfo-codes), image by image.

Codes, how faithful they are, and, where they are kept, those of every position.
"""

from __future__ import annotations

import math

import numpy as np

from vinfo_mpi.numerics import sparse_codes
from vinfo_mpi.storage.activations import SAMPLE
from vinfo_mpi.storage.hdf5 import Table
from vinfo_mpi.storage.rows import Column, RowReader, row_bytes

FIDELITY = {
    "error": "squared error of the vector averaged over positions, rebuilt from the codes",
    "size": "its squared length",
    "error_positions": "squared errors of the encoded vectors, summed over positions",
    "size_positions": "their squared lengths, summed over positions",
    "kept": "1 where the prediction from the rebuilt vector is the same",
    "kkt_residual": "largest violation of the optimality conditions of the codes",
}
BY_POSITION = "positions"  # the group of what `SparseCodes` holds
SPARSE = "averaged"  # the group of codes of which few are not 0
SMALLER = 0.5  # share of the bytes below which they are stored so


ROOM = 1.1  # for an image, of as many positive codes as some images have at most
STEP = 16  # the room is a multiple of it


class CodesReader(RowReader):
    """Reads a codes file; codes that are stored sparsely are read as if they were not."""

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a dataset, of all concepts' codes too."""
        if name != "codes" or name in self:
            return super().shape(name)
        concepts = int(self.attribute(f"{SPARSE}/codes", "concepts"))
        return (super().shape(f"{SPARSE}/codes")[0], concepts)

    def read(self, name: str, rows: range | None = None) -> np.ndarray:
        """Return the rows of a dataset, all by default. See `RowReader`."""
        if name != "codes" or name in self:
            return super().read(name, rows)
        atoms, codes = [super(CodesReader, self).read(f"{SPARSE}/{each}", rows) for each in PARTS]
        return sparse_codes.spread(atoms, codes, self.shape("codes")[1])


PARTS = ("atoms", "codes")


def columns(
    concepts: int, positions: int = 0, width: int = 0, active: int = 0
) -> dict[str, Column]:
    """Return the datasets with one row per sample.

    With room for `width` positive codes of all positions together, if this is not 0. Of codes
    that are not 0 for more than `active` concepts in any image (0: not known), these alone are
    stored where that takes less than half the room.
    """
    ids = Table(None, "stable id of the image", axes=SAMPLE)
    codes = Table(None, "codes, averaged over positions", axes=("sample", "concept"))
    columns = {"codes": Column((concepts,), "float64", codes)}
    sparse = _sparse(concepts, min(active, concepts))
    if active and row_bytes(sparse) < SMALLER * row_bytes(columns):
        columns = sparse
    columns["samples/id"] = Column((), "int64", ids)
    for name, text in FIDELITY.items():
        columns[f"fidelity/{name}"] = Column((), "float64", Table(None, text, axes=SAMPLE))
    return columns | (columns_by_position(concepts, positions, width) if width else {})


def _sparse(concepts: int, width: int) -> dict[str, Column]:
    """Return the datasets with the codes of `width` concepts of every image, see `largest`."""
    kinds = {
        "atoms": (_number(concepts), "concepts whose codes are given; those of all others are 0"),
        "codes": ("float64", "their codes, averaged over positions"),
    }
    return {
        f"{SPARSE}/{name}": Column(
            (width,),
            dtype,
            Table(None, text, axes=("sample", "entry"), attributes={"concepts": concepts}),
        )
        for name, (dtype, text) in kinds.items()
    }


def _number(concepts: int) -> str:
    """Return the dtype of the numbers of so many concepts."""
    return "uint16" if concepts <= 2**16 else "uint32"


def columns_by_position(concepts: int, positions: int, width: int) -> dict[str, Column]:
    """Return those with the codes of every position, see `numerics.sparse_codes.SparseCodes`."""
    kinds = {
        "counts": ((positions,), "uint32", "position", "positive codes at the position"),
        "atoms": ((width,), _number(concepts), "entry", "their concepts, position by position"),
        "codes": ((width,), "float32", "entry", "the codes, in this order"),
    }
    return {
        f"{BY_POSITION}/{name}": Column(shape, dtype, Table(None, text, axes=("sample", axis)))
        for name, (shape, dtype, axis, text) in kinds.items()
    }


def room(most: float) -> int:
    """Return the room of an image where some images have so many positive codes at most."""
    return STEP * math.ceil(ROOM * most / STEP)
