"""The content of a file of rows, however it is written: columns, tables, rows that are whole."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.storage import checksums
from vinfo_mpi.storage.atomic import commit, partial
from vinfo_mpi.storage.hdf5 import UNREADABLE, Table, attach_scales, describe
from vinfo_mpi.storage.rows import CHECKSUMS, Column, RowReader, parts_of

VERIFIED_AT_ONCE = 256  # rows


@dataclass(frozen=True)
class RowContent:
    """The content of a file of rows.

    Attributes
    ----------
    columns : dict of str to Column
        With one row per sample.
    rows : int
        Of the whole file.
    tables : dict of str to Table
        Small datasets.
    scales : dict of str to str
        Which dataset numbers which axis.
    """

    columns: Mapping[str, Column]
    rows: int
    tables: Mapping[str, Table]
    scales: Mapping[str, str]

    def create(self, file: h5py.File, rows: int, alignment: int = 0) -> None:
        """Create all columns with their place on disk.

        Later writes are data alone, so that a job killed at any moment leaves a file that can be
        read.
        """
        for name, column in self.columns.items():
            properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            file.create_dataset(
                name,
                (rows, *column.shape),
                column.dtype,
                chunks=column.chunks(rows, alignment) if rows else None,
                fill_time="never",
                dcpl=properties,
            )

    def describe(self, file: h5py.File) -> None:
        """Write the tables, and say what everything is."""
        for name, table in self.tables.items():
            file.create_dataset(name, data=table.values)
        described = {name: column.table for name, column in self.columns.items()}
        described |= self.tables
        scales = {axis: file[name] for axis, name in sorted(self.scales.items())}
        for axis, dataset in scales.items():
            dataset.make_scale(axis)
        for name, table in sorted(described.items()):
            describe(file[name], table)
            attach_scales(file[name], table, scales)

    def fits(self, file: h5py.File, attributes: Mapping[str, Any], rows: int) -> bool:
        """Whether an unfinished file of so many rows is one of what is to be written now."""
        for key in ("filetype", "format_version", "fingerprint"):
            if file.attrs.get(key) != attributes.get(key):
                return False
        return all(
            name in file
            and not file[name].is_virtual
            and file[name].shape == (rows, *column.shape)
            and file[name].dtype == column.dtype
            for name, column in self.columns.items()
        )

    def intact(self, file: h5py.File, rows: range) -> np.ndarray:
        """Return which rows of a file are what was once written there: (len(rows),) bool."""
        intact = np.zeros(len(rows), bool)
        names = [name for name in self.columns if name != CHECKSUMS]
        for batch in batches(rows, VERIFIED_AT_ONCE):
            here = slice(batch.start, batch.stop)
            with contextlib.suppress(*UNREADABLE):
                sums = np.stack([checksums.crc32_of_rows(file[name][here]) for name in names], 1)
                same = (file[CHECKSUMS][here] == sums).all(1)
                intact[batch.start - rows.start : batch.stop - rows.start] = same
        return intact


def consecutive(numbers: np.ndarray) -> Iterator[range]:
    """Yield the stretches of consecutive numbers in an ascending array.

    >>> list(consecutive(np.array([2, 3, 4, 7])))
    [range(2, 5), range(7, 8)]
    """
    for stretch in np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1):
        if len(stretch):
            yield range(int(stretch[0]), int(stretch[-1]) + 1)


def read_rows(file: RowReader, name: str, rows: np.ndarray) -> np.ndarray:
    """Return some rows of a dataset, ascending."""
    return np.concatenate([file.read(name, stretch) for stretch in consecutive(rows)])


def mark_unfinished(file: h5py.File, attributes: Mapping[str, Any]) -> None:
    """Write the attributes, and that the file is not whole."""
    _set_attributes(file, attributes)
    file.attrs["complete"] = 0


def seal(file: h5py.File, attributes: Mapping[str, Any]) -> None:
    """Write the attributes and close the file; the last one says that it is whole."""
    _set_attributes(file, attributes)
    file.flush()
    file.attrs["complete"] = 1
    file.close()


def appear(path: Path, parts: Path | None = None) -> None:
    """Make a file appear under its name, with the folder of its parts.

    Parts of earlier files under this name are not needed any more.
    """
    commit(partial(path), path)
    remove_folders(set(parts_of(path)) - {parts})


def remove_folders(folders: Collection[Path]) -> None:
    """Delete folders with all that they hold."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _set_attributes(file: h5py.File, attributes: Mapping[str, Any]) -> None:
    for key, value in sorted(attributes.items()):
        file.attrs[key] = value
