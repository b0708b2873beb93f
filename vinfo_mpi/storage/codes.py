"""The columns of a codes file (vinfo-codes), image by image.

Codes, how faithful they are, and, where they are kept, those of every position.
"""

from __future__ import annotations

import math

from vinfo_mpi.storage.activations import SAMPLE
from vinfo_mpi.storage.hdf5 import Table
from vinfo_mpi.storage.rows import Column

FIDELITY = {
    "error": "squared error of the vector averaged over positions, rebuilt from the codes",
    "size": "its squared length",
    "error_positions": "squared errors of the encoded vectors, summed over positions",
    "size_positions": "their squared lengths, summed over positions",
    "kept": "1 where the prediction from the rebuilt vector is the same",
    "kkt_residual": "largest violation of the optimality conditions of the codes",
}
BY_POSITION = "positions"  # the group of what `SparseCodes` holds


ROOM = 1.1  # for an image, of as many positive codes as some images have at most
STEP = 16  # the room is a multiple of it


def columns(concepts: int, positions: int = 0, width: int = 0) -> dict[str, Column]:
    """Return the datasets with one row per sample.

    With room for `width` positive codes of all positions together, if this is not 0.
    """
    codes = Table(None, "codes, averaged over positions", axes=("sample", "concept"))
    ids = Table(None, "stable id of the image", axes=SAMPLE)
    columns = {
        "codes": Column((concepts,), "float64", codes),
        "samples/id": Column((), "int64", ids),
    }
    for name, text in FIDELITY.items():
        columns[f"fidelity/{name}"] = Column((), "float64", Table(None, text, axes=SAMPLE))
    return columns | (columns_by_position(concepts, positions, width) if width else {})


def columns_by_position(concepts: int, positions: int, width: int) -> dict[str, Column]:
    """Return those with the codes of every position, see `numerics.sparse_codes.SparseCodes`."""
    number = "uint16" if concepts <= 2**16 else "uint32"
    kinds = {
        "counts": ((positions,), "uint32", "position", "positive codes at the position"),
        "atoms": ((width,), number, "entry", "their concepts, position by position"),
        "codes": ((width,), "float32", "entry", "the codes, in this order"),
    }
    return {
        f"{BY_POSITION}/{name}": Column(shape, dtype, Table(None, text, axes=("sample", axis)))
        for name, (shape, dtype, axis, text) in kinds.items()
    }


def room(most: float) -> int:
    """Return the room of an image where some images have so many positive codes at most."""
    return STEP * math.ceil(ROOM * most / STEP)
