"""The format that all HDF5 files of this package share.

Attributes that say what they are; they are whole or not there, and checked when opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from vinfo_mpi.errors import InputError
from vinfo_mpi.storage import checksums
from vinfo_mpi.storage.atomic import commit, partial, writing

FORMAT_VERSIONS = {
    "vinfo-activations": 3,
    "vinfo-dictionary": 2,
    "vinfo-dictionary-fit": 2,
    "vinfo-codes": 2,
    "vinfo-results": 3,
    "vinfo-magnitudes": 1,
    "vinfo-visualisation": 1,
    "vinfo-report": 1,
    "vinfo-comparison": 1,
    "vinfo-piece": 3,
}
UNREADABLE = (OSError, RuntimeError, KeyError, ValueError)  # what h5py raises on a damaged file


@dataclass(frozen=True)
class Table:
    """A dataset to be written: its values, what they mean, in which unit, along which axes."""

    values: Any
    description: str
    units: str | None = None
    axes: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)


def describe(dataset: h5py.Dataset, table: Table) -> None:
    """Attach description, units, axis labels and attributes."""
    dataset.attrs["description"] = table.description
    if table.values is not None:
        dataset.attrs["crc32"] = checksums.crc32(np.asarray(table.values))
    if table.units:
        dataset.attrs["units"] = table.units
    for name, value in sorted(table.attributes.items()):
        dataset.attrs[name] = value
    for axis, label in enumerate(table.axes):
        dataset.dims[axis].label = label


def attach_scales(dataset: h5py.Dataset, table: Table, scales: Mapping[str, h5py.Dataset]) -> None:
    """Make the dataset's axes point to the datasets that number or name them."""
    for axis, label in enumerate(table.axes):
        if label in scales and scales[label].name != dataset.name:
            dataset.dims[axis].attach_scale(scales[label])


def fixed_width(names: list[str]) -> np.ndarray:
    """Return strings as every HDF5 reader and MPI-IO understands them: fixed-length UTF-8."""
    encoded = [name.encode() for name in names]
    width = max([1, *map(len, encoded)])
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", width))


def checked(file: h5py.File, name: str) -> np.ndarray:
    """Return the values of a dataset.

    Raises
    ------
    InputError
        If they cannot be read, or are not as they were written.
    """
    try:
        dataset = file[name]
        values = dataset[()]
        checksum = dataset.attrs.get("crc32")
    except UNREADABLE as error:
        raise InputError(
            f"{file.filename}: /{name} cannot be read ({error}); "
            "delete the file and run its stage again"
        ) from None
    if checksum is not None and checksums.crc32(np.asarray(values)) != checksum:
        raise InputError(
            f"{file.filename}: /{name} is not what was written (its checksum differs); "
            "delete the file and run its stage again"
        )
    return values


def read_table(path: Path, filetype: str, name: str) -> np.ndarray:
    """Return a dataset of one of our files, checked."""
    with open_checked(path, filetype) as file:
        return checked(file, name)


def open_checked(path: Path, filetype: str | None = None) -> h5py.File:
    """Open one of our files for reading.

    Raises
    ------
    InputError
        If it is missing, damaged, incomplete, of another kind or of an unknown version.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; run the stage that makes it, or check the path")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(
            f"{path} is damaged or not an HDF5 file ({error}); delete it and run its stage again"
        ) from None
    if problem := _problem(file, filetype):
        file.close()
        raise InputError(f"{path} {problem}")
    return file


def _problem(file: h5py.File, expected: str | None) -> str | None:
    """Return why a file is not to be read, with the remedy, None where all is well."""
    filetype = str(file.attrs.get("filetype", "none"))
    if filetype not in FORMAT_VERSIONS or (expected and filetype != expected):
        valid = expected or " or ".join(FORMAT_VERSIONS)
        return f"is not a {valid} file (its filetype is {filetype}); check the path"
    version = file.attrs.get("format_version")
    if version != FORMAT_VERSIONS[filetype]:
        return (
            f"has format version {version}, this program reads {FORMAT_VERSIONS[filetype]}; "
            "delete it and run its stage again"
        )
    if file.attrs.get("complete") != 1:
        return "was not finished; delete it and run its stage again"
    return None


def attributes(path: Path, filetype: str) -> dict[str, Any]:
    """Return what a whole file of this kind says of itself; nothing where there is no such file."""
    try:
        with open_checked(path, filetype) as file:
            return dict(file.attrs)
    except InputError:
        return {}


def fingerprint(path: Path, filetype: str) -> str | None:
    """Return the fingerprint of a whole file of this kind, None where there is no such file."""
    return attributes(path, filetype).get("fingerprint")


def write_tables(path: Path, tables: Mapping[str, Table], attributes: Mapping[str, Any]) -> None:
    """Write a small file from one rank, whole or not at all."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(partial(path), "w") as file:
            for name, table in sorted(tables.items()):
                describe(file.create_dataset(name, data=table.values), table)
            file.attrs.update(attributes)
            file.attrs["complete"] = 1
            file.flush()
        commit(partial(path), path)
