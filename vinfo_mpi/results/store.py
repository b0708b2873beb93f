"""results.h5: each stage adds its part, or replaces it; the file is whole at any moment."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from vinfo_mpi.results.schema import INDEX, TAPS
from vinfo_mpi.storage.atomic import commit, partial, writing
from vinfo_mpi.storage.hdf5 import Table, describe, open_checked

# What numbers or names an axis, in all groups that have no dataset <group>/<axis>s for it.
SCALES = {"concept": INDEX.name, "tap": TAPS.name}
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
    concepts. The file is a changed copy of the one before: what stays is neither read nor written.
    """
    if path.exists():
        open_checked(path, "vinfo-results").close()
    with writing(path):
        partial(path).unlink(missing_ok=True)
        if path.exists():
            shutil.copyfile(path, partial(path))
        with h5py.File(partial(path), "a") as file:
            had_taps = TAPS.name in file
            of_nobody = {name for name in tables if name in file}  # but for those of this stage
            outdated = of_nobody.union(_outdated(file, stage, _codes(provenance)))
            detached = _remove(file, sorted(outdated))
            written = _write(file, tables)
            names = written | detached if had_taps else dataset_names(file)
            _attach_scales(file, sorted(names))
            own = file.require_group("provenance").create_group(stage).attrs
            own.update(dict(provenance) | {"datasets": " ".join(sorted(tables))})
            # Those of the whole file are of the stage that comes last.
            for name in {*file.attrs} - {*provenance}:
                del file.attrs[name]
            file.attrs.update(dict(provenance) | {"complete": 1})
            file.flush()
        commit(partial(path), path)


def dataset_names(file: h5py.File) -> list[str]:
    """Return the names of all datasets of a file, whatever their groups."""
    names: list[str] = []

    def visit(name: str, thing: object) -> None:
        if isinstance(thing, h5py.Dataset):
            names.append(name)

    file.visititems(visit)
    return names


def _outdated(file: h5py.File, stage: str, codes: str | None) -> list[str]:
    """Return what goes: the part of this stage, and of those that were made from other codes."""
    names: list[str] = []
    for name, group in file.get("provenance", {}).items():
        of_other_codes = codes is not None and _codes(group.attrs) not in (codes, None)
        if name == stage or of_other_codes:
            names += [*group.attrs["datasets"].split(), group.name.removeprefix("/")]
        if of_other_codes and INDEX.name in file:
            names.append(INDEX.name)
    return [*dict.fromkeys(names)]


def _remove(file: h5py.File, names: Sequence[str]) -> set[str]:
    """Delete datasets and groups, and groups that are empty without them.

    Returns
    -------
    set of str
        The datasets that stay, and had an axis that one of them numbered or named.
    """
    scales = {name for name in names if getattr(file[name], "is_scale", False)}
    pointing = _pointing_to(file, scales) if scales else set()
    for name in pointing.union(names):
        for axis in getattr(file[name], "dims", ()):
            for scale in axis.values():
                axis.detach_scale(scale)
    for name in names:
        del file[name]
        group = name.rpartition("/")[0]
        while group and not file[group]:
            del file[group]
            group = group.rpartition("/")[0]
    return pointing.difference(names)


def _pointing_to(file: h5py.File, scales: Collection[str]) -> set[str]:
    """Return the datasets that have an axis which one of these numbers or names."""
    objects = [file[name] for name in scales]
    return {
        name
        for name in dataset_names(file)
        if any(scale in objects for axis in file[name].dims for scale in axis.values())
    }


def _write(file: h5py.File, tables: Mapping[str, Table]) -> set[str]:
    """Write datasets, and the numbers of the concepts where they lack; return their names."""
    concepts = _length(tables, "concept")
    if concepts is not None and INDEX.name not in file:
        tables = {**tables, INDEX.name: INDEX.table(np.arange(concepts))}
    for name, table in sorted(tables.items()):
        describe(file.create_dataset(name, data=table.values), table)
    return {*tables}


def _attach_scales(file: h5py.File, names: Iterable[str]) -> None:
    """Let axes of datasets point to the datasets that number or name them."""
    for name in names:
        for axis in file[name].dims:
            place = _scale(file, name, axis.label)
            if place in (None, name) or len(axis):
                continue
            if not file[place].is_scale:
                file[place].make_scale(axis.label)
            axis.attach_scale(file[place])


def _scale(file: h5py.File, name: str, axis: str) -> str | None:
    """Return the dataset that numbers or names an axis of a dataset, None where there is none."""
    group = name.rpartition("/")[0]
    places = [f"{group}/{axis}s"] if group else []
    places += [SCALES[axis]] if axis in SCALES else []
    return next((place for place in places if place in file), None)


def _codes(provenance: Provenance) -> str | None:
    """Return the fingerprint of the codes that a part was made from; None: of no concepts."""
    return json.loads(provenance["inputs"]).get("codes")


def _length(tables: Mapping[str, Table], axis: str) -> int | None:
    """Return the length of an axis, None where no dataset has it."""
    for table in tables.values():
        if axis in table.axes:
            return np.shape(table.values)[table.axes.index(axis)]
    return None
