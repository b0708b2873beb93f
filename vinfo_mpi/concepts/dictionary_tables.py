"""The datasets of a dictionary that is not a factorisation."""

from __future__ import annotations

import numpy as np
import torch

from vinfo_mpi.storage.hdf5 import Table

Tables = dict[str, Table]
DATASETS = {
    "atoms": (
        "x ≈ codes · atoms + offset (0 where there is none), x the last tap",
        ("concept", "channel"),
    ),
    "offset": ("what remains of the last tap without concepts", ("channel",)),
    "projection": ("codes = (x - offset) · projection", ("channel", "concept")),
    "centre": ("codes = factors or logits - centre", ("concept",)),
    "class": ("class whose images the atom was fitted to; -1: all", ("concept",)),
}


def tables_of(atoms: torch.Tensor, **beside: torch.Tensor) -> Tables:
    """Return atoms, and what is stored beside them, as datasets; the concepts have no class."""
    values = {name: tensor.cpu().numpy() for name, tensor in {"atoms": atoms, **beside}.items()}
    values["class"] = np.full(len(atoms), -1)
    tables = {}
    for name, array in values.items():
        sentence, axes = DATASETS[name]
        tables[name] = Table(array, sentence, axes=axes)
    return tables
