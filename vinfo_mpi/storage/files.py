"""What all our HDF5 files have in common: attributes that say what they are, whole or not there, checked when opened."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from vinfo_mpi.errors import Failure, InputError
from vinfo_mpi.storage import checksums

FORMAT_VERSIONS = {
    "vinfo-activations": 3,
    "vinfo-dictionary": 2,
    "vinfo-dictionary-fit": 2,
    "vinfo-codes": 2,
    "vinfo-results": 2,
    "vinfo-magnitudes": 1,
    "vinfo-visualisation": 1,
    "vinfo-report": 1,
    "vinfo-piece": 1,
}


UNREADABLE = (OSError, RuntimeError, KeyError, ValueError)  # what h5py raises on a damaged file
NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)


@dataclass(frozen=True)
class Table:
    """A dataset to be written: its values, what they mean, in which unit, along which axes."""

    values: Any
    description: str
    units: str | None = None
    axes: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)


def existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that is there already."""
    return next(one for one in (path, *path.resolve().parents) if one.exists())


def partial(path: Path) -> Path:
    """Return the name under which a file is written until it is whole."""
    return path.with_name(f".{path.name}.partial")


def describe(dataset: h5py.Dataset, table: Table) -> None:
    """Attach description, units, axis labels and attributes."""
    dataset.attrs["description"] = table.description
    if table.values is not None:
        dataset.attrs["crc32"] = checksums.of(np.asarray(table.values))
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
    """Return strings in the form that every HDF5 reader and MPI-IO understands: fixed-length UTF-8."""
    encoded = [name.encode() for name in names]
    width = max([1, *map(len, encoded)])
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", width))


def sync(path: Path) -> None:
    """Wait until a file or the names in a folder are on disk for good."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def commit(temporary: Path, path: Path) -> None:
    """Make a finished file appear under its name, on disk for good."""
    sync(temporary)
    temporary.replace(path)
    sync(path.parent)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an error of the file system into a sentence that says where, and what to do.

    Raises
    ------
    InputError
        Where this place cannot be written to at all.
    Failure
        Where writing went wrong: a full disk, a quota.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "write failed" not in str(error):  # HDF5 raises it while flushing and closing
            raise
        number = getattr(error, "errno", None)
        told = re.search(r"error message = '([^']*)'", str(error))  # by HDF5
        first = str(error).split("\n")[0]
        reason = os.strerror(number) if number else told[1] if told else first.split("(")[-1].rstrip(")")
        if number in NOT_WRITABLE:
            raise InputError(f"cannot write {path} ({reason}); change that, or name another folder with --run-dir") from error
        free = shutil.disk_usage(existing(path.parent)).free
        raise Failure(
            f"cannot write {path} ({reason}); {free / 2**20:.0f} MiB are free there: make room, mend the file system or your "
            "quota, and run the same command again; what is finished is kept"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a small text file, whole or not at all."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial(path).write_text(text)
        commit(partial(path), path)


def checked(file: h5py.File, name: str) -> np.ndarray:
    """Return the values of a dataset; raise `InputError` if they cannot be read or are not as they were written."""
    try:
        values, written = file[name][()], file[name].attrs.get("crc32")
    except UNREADABLE as error:
        raise InputError(f"{file.filename}: /{name} cannot be read ({error}); delete the file and run its stage again") from None
    if written is not None and checksums.of(np.asarray(values)) != written:
        raise InputError(
            f"{file.filename}: /{name} is not what was written (its checksum differs); delete the file and run its stage again"
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
        raise InputError(f"{path} is not there; run the stage that makes it, or check the path")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"{path} is damaged or not an HDF5 file ({error}); delete it and run its stage again") from None
    found = str(file.attrs.get("filetype", "none"))
    problem = None
    if found not in FORMAT_VERSIONS or (filetype and found != filetype):
        expected = filetype or " or ".join(FORMAT_VERSIONS)
        problem = f"is not a {expected} file (its filetype is {found}); check the path"
    elif (version := file.attrs.get("format_version")) != FORMAT_VERSIONS[found]:
        problem = f"has format version {version}, this program reads {FORMAT_VERSIONS[found]}; delete it and run its stage again"
    elif file.attrs.get("complete") != 1:
        problem = "was not finished; delete it and run its stage again"
    if problem:
        file.close()
        raise InputError(f"{path} {problem}")
    return file


def fingerprint(path: Path, filetype: str) -> str | None:
    """Return the fingerprint of a whole file of this kind, None where there is no such file."""
    try:
        with open_checked(path, filetype) as file:
            return str(file.attrs["fingerprint"])
    except (InputError, KeyError):
        return None


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
