"""The columns of a codes file (vinfo-codes): codes, and how faithful they are, image by image."""

from __future__ import annotations

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


def columns(concepts: int) -> dict[str, Column]:
    """Return the datasets with one row per sample."""
    codes = Table(None, "codes, averaged over positions", axes=("sample", "concept"))
    ids = Table(None, "stable id of the image", axes=SAMPLE)
    columns = {
        "codes": Column((concepts,), "float64", codes),
        "samples/id": Column((), "int64", ids),
    }
    for name, text in FIDELITY.items():
        columns[f"fidelity/{name}"] = Column((), "float64", Table(None, text, axes=SAMPLE))
    return columns
