"""results.h5: each stage adds its part, or replaces it; the file is whole at any moment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from vinfo_mpi.storage.atomic import commit, partial, writing
from vinfo_mpi.storage.hdf5 import Table, attach_scales, checked, describe, open_checked

# Which dataset numbers or names which axis, for all groups that have no dataset of their own for it: <group>/<axis>s.
SCALES = {"concept": "concepts/index", "tap": "taps"}
INDEX = "number of the concept: its row in dictionary.h5"
_OWN = ("description", "units", "crc32", "DIMENSION_LIST", "DIMENSION_LABELS", "REFERENCE_LIST", "CLASS", "NAME")


def fingerprint(path: Path, stage: str) -> str | None:
    """Return the fingerprint of a stage's part, None where there is none.

    Raises
    ------
    InputError
        If the file is damaged: it holds what other stages have computed, and is not to be replaced.
    """
    if not path.exists():
        return None
    with open_checked(path, "vinfo-results") as file:
        part = file.get(f"provenance/{stage}")
        return None if part is None else str(part.attrs["fingerprint"])


def update(path: Path, stage: str, tables: Mapping[str, Table], provenance: Mapping[str, Any]) -> None:
    """Replace a stage's part of the file, on one rank.

    The parts of other stages stay, unless they were made from other codes: those speak of other concepts.
    """
    kept, stages = _read(path)
    codes = {_codes(provenance), None}
    stages = {name: part for name, part in stages.items() if name != stage and (_codes(part) in codes or codes == {None})}
    names = {name for part in stages.values() for name in part["datasets"].split()}
    everything = {name: table for name, table in kept.items() if name in names} | dict(tables)
    if (concepts := _length(everything, "concept")) is not None:
        everything[SCALES["concept"]] = Table(np.arange(concepts), INDEX, axes=("concept",))
    stages[stage] = dict(provenance) | {"datasets": " ".join(sorted(tables))}
    with writing(path):
        _write(partial(path), everything, stages, provenance)
        commit(partial(path), path)


def _read(path: Path) -> tuple[dict[str, Table], dict[str, dict[str, Any]]]:
    """Return all datasets, and the provenance of each stage."""
    tables: dict[str, Table] = {}
    if not path.exists():
        return tables, {}

    def visit(name: str, thing: object) -> None:
        if isinstance(thing, h5py.Dataset):
            attributes = {key: value for key, value in thing.attrs.items() if key not in _OWN}
            axes = tuple(axis.label for axis in thing.dims)
            tables[name] = Table(checked(file, name), thing.attrs["description"], thing.attrs.get("units"), axes, attributes)

    with open_checked(path, "vinfo-results") as file:
        file.visititems(visit)
        return tables, {stage: dict(part.attrs) for stage, part in file["provenance"].items()}


def _write(path: Path, tables: Mapping[str, Table], stages: Mapping[str, Mapping], provenance: Mapping[str, Any]) -> None:
    with h5py.File(path, "w") as file:
        for name, table in sorted(tables.items()):
            describe(file.create_dataset(name, data=table.values), table)
        for name, table in sorted(tables.items()):
            scales = {axis: file[place] for axis in table.axes if (place := _scale(tables, name, axis))}
            for axis, scale in scales.items():
                if not scale.is_scale:
                    scale.make_scale(axis)
            attach_scales(file[name], table, scales)
        for stage, attributes in sorted(stages.items()):
            file.create_group(f"provenance/{stage}").attrs.update(attributes)
        file.attrs.update(provenance)
        file.attrs["complete"] = 1
        file.flush()


def _scale(tables: Mapping[str, Table], name: str, axis: str) -> str | None:
    """Return the dataset that numbers or names an axis of a dataset, None where there is none."""
    places = (f"{name.rpartition('/')[0]}/{axis}s", SCALES.get(axis, ""))
    return next((place for place in places if place in tables), None)


def _codes(provenance: Mapping[str, Any]) -> str | None:
    """Return the fingerprint of the codes that a part was made from, None where it speaks of no concepts."""
    return json.loads(provenance["inputs"]).get("codes")


def _length(tables: Mapping[str, Table], axis: str) -> int | None:
    lengths = [np.shape(table.values)[table.axes.index(axis)] for table in tables.values() if axis in table.axes]
    return lengths[0] if lengths else None
