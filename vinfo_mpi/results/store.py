"""results.h5: each stage adds its part, or replaces it; the file is whole at any moment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from vinfo_mpi.results.schema import INDEX, TAPS
from vinfo_mpi.storage.atomic import commit, partial, writing
from vinfo_mpi.storage.hdf5 import Table, attach_scales, checked, describe, open_checked

# What numbers or names an axis, in all groups that have no dataset <group>/<axis>s for it.
SCALES = {"concept": INDEX.name, "tap": TAPS.name}
# Attributes that `Table` and HDF5 make themselves.
_MADE_AGAIN = (
    "description",
    "units",
    "crc32",
    "DIMENSION_LIST",
    "DIMENSION_LABELS",
    "REFERENCE_LIST",
    "CLASS",
    "NAME",
)

Provenance = Mapping[str, Any]


def attributes(path: Path, stage: str) -> dict[str, Any]:
    """Return where a stage's part comes from, nothing where there is none.

    Raises
    ------
    InputError
        If the file is damaged: it holds what other stages have computed, and is not to be replaced.
    """
    if not path.exists():
        return {}
    with open_checked(path, "vinfo-results") as file:
        provenance = file.get(f"provenance/{stage}")
        return {} if provenance is None else dict(provenance.attrs)


def fingerprint(path: Path, stage: str) -> str | None:
    """Return the fingerprint of a stage's part, None where there is none; see `attributes`."""
    return attributes(path, stage).get("fingerprint")


def update(path: Path, stage: str, tables: Mapping[str, Table], provenance: Provenance) -> None:
    """Replace a stage's part of the file, on one rank.

    The parts of other stages stay, unless they were made from other codes: those are about other
    concepts.
    """
    old_tables, old_stages = _read(path)
    codes = _codes(provenance)
    stages: dict[str, Provenance] = {}
    for name, old in old_stages.items():
        of_same_codes = codes is None or _codes(old) in (codes, None)
        if name != stage and of_same_codes:
            stages[name] = old
    staying = {name for old in stages.values() for name in old["datasets"].split()}
    new_tables = {name: table for name, table in old_tables.items() if name in staying}
    new_tables |= tables
    concepts = _length(new_tables, "concept")
    if concepts is not None:
        new_tables[INDEX.name] = INDEX.table(np.arange(concepts))
    stages[stage] = dict(provenance) | {"datasets": " ".join(sorted(tables))}
    with writing(path):
        _write(partial(path), new_tables, stages, provenance)
        commit(partial(path), path)


def dataset_names(file: h5py.File) -> list[str]:
    """Return the names of all datasets of a file, whatever their groups."""
    names: list[str] = []

    def visit(name: str, thing: object) -> None:
        if isinstance(thing, h5py.Dataset):
            names.append(name)

    file.visititems(visit)
    return names


def _read(path: Path) -> tuple[dict[str, Table], dict[str, Provenance]]:
    """Return all datasets, and the provenance of each stage."""
    if not path.exists():
        return {}, {}
    with open_checked(path, "vinfo-results") as file:
        tables = {name: _read_table(file, name) for name in dataset_names(file)}
        groups = file["provenance"].items()
        stages: dict[str, Provenance] = {stage: dict(group.attrs) for stage, group in groups}
    return tables, stages


def _read_table(file: h5py.File, name: str) -> Table:
    """Return a dataset as it is to be written again."""
    dataset = file[name]
    return Table(
        checked(file, name),
        dataset.attrs["description"],
        dataset.attrs.get("units"),
        tuple(axis.label for axis in dataset.dims),
        {key: dataset.attrs[key] for key in dataset.attrs if key not in _MADE_AGAIN},
    )


def _write(
    path: Path, tables: Mapping[str, Table], stages: Mapping[str, Provenance], last: Provenance
) -> None:
    """Write the whole file; its own attributes are those of the stage that comes last."""
    with h5py.File(path, "w") as file:
        datasets = {}
        for name, table in sorted(tables.items()):
            datasets[name] = file.create_dataset(name, data=table.values)
            describe(datasets[name], table)
        for name, table in sorted(tables.items()):
            scales = {}
            for axis in table.axes:
                place = _scale(tables, name, axis)
                if place is not None:
                    scales[axis] = datasets[place]
            for axis, scale in scales.items():
                if not scale.is_scale:
                    scale.make_scale(axis)
            attach_scales(datasets[name], table, scales)
        for stage, attributes in sorted(stages.items()):
            file.create_group(f"provenance/{stage}").attrs.update(attributes)
        file.attrs.update(last)
        file.attrs["complete"] = 1
        file.flush()


def _scale(tables: Mapping[str, Table], name: str, axis: str) -> str | None:
    """Return the dataset that numbers or names an axis of a dataset, None where there is none."""
    group = name.rpartition("/")[0]
    places = (f"{group}/{axis}s", SCALES.get(axis, ""))
    return next((place for place in places if place in tables), None)


def _codes(provenance: Provenance) -> str | None:
    """Return the fingerprint of the codes that a part was made from; None: of no concepts."""
    return json.loads(provenance["inputs"]).get("codes")


def _length(tables: Mapping[str, Table], axis: str) -> int | None:
    """Return the length of an axis, None where no dataset has it."""
    for table in tables.values():
        if axis in table.axes:
            return np.shape(table.values)[table.axes.index(axis)]
    return None
