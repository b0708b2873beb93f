"""Where the rows of all ranks go: one file shared through MPI-IO, or a part per rank, joined by virtual datasets.

Both write under a name that no reader looks for, finish by renaming, and give back what an interrupted writing has left
whole: rows are trusted if their checksums say so, whoever wrote them.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from mpi4py import MPI

from vinfo_mpi.parallel.partition import batches, sizes
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.storage import checksums
from vinfo_mpi.storage.atomic import commit, partial, sync
from vinfo_mpi.storage.hdf5 import UNREADABLE, Table, attach_scales, describe
from vinfo_mpi.storage.rows import CHECKSUMS, Column, aligned_from, parts_of

VERIFIED_AT_ONCE = 256  # rows


@dataclass(frozen=True)
class Content:
    """What a file of rows holds: columns with one row per sample, small tables, which dataset numbers which axis."""

    columns: Mapping[str, Column]
    rows: int
    tables: Mapping[str, Table]
    scales: Mapping[str, str]

    def create(self, file: h5py.File, rows: int, alignment: int = 0) -> None:
        """Create all columns with their place on disk: later writes are data alone, so that a job killed at any moment
        leaves a file that can be read.
        """
        for name, column in self.columns.items():
            properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            chunks = column.chunks(rows, alignment) if rows else None
            file.create_dataset(name, (rows, *column.shape), column.dtype, chunks=chunks, fill_time="never", dcpl=properties)

    def describe(self, file: h5py.File) -> None:
        """Write the tables, and say what everything is."""
        for name, table in self.tables.items():
            file.create_dataset(name, data=table.values)
        described = {name: column.table for name, column in self.columns.items()} | dict(self.tables)
        scales = {axis: file[name] for axis, name in sorted(self.scales.items())}
        for axis, dataset in scales.items():
            dataset.make_scale(axis)
        for name, table in sorted(described.items()):
            describe(file[name], table)
            attach_scales(file[name], table, scales)

    def whole(self, file: h5py.File, rows: range) -> np.ndarray:
        """Return which rows of a file are what was once written there: (len(rows),) bool."""
        found = np.zeros(len(rows), bool)
        for part in batches(rows, VERIFIED_AT_ONCE):
            here = slice(part.start, part.stop)
            with contextlib.suppress(*UNREADABLE):
                now = [checksums.of_rows(file[name][here]) for name in self.columns if name != CHECKSUMS]
                found[part.start - rows.start : part.stop - rows.start] = (file[CHECKSUMS][here] == np.stack(now, 1)).all(1)
        return found


class SharedFile:
    """One file that all ranks write through MPI-IO: those of several nodes collectively, those of one node each for itself.

    One rank makes it and one finishes it; together they write nothing but rows. A rank that fails while HDF5 writes what
    belongs to all would leave the others, and itself, waiting inside HDF5 for ever.
    """

    def __init__(self, path: Path, content: Content, ranks: Ranks, mine: range, options: Mapping[str, Any]) -> None:
        self.path, self.content, self.ranks, self.mine = path, content, ranks, mine
        info = MPI.Info.Create()
        for key, value in options.get("hints", {}).items():
            info.Set(key, str(value))
        self._how = {"driver": "mpio", "info": info}
        self._alignment = options.get("alignment", 0)
        if self._alignment:
            self._how |= {"alignment_threshold": aligned_from(self._alignment), "alignment_interval": self._alignment}

    def open(self, attributes: Mapping[str, Any], resume: bool) -> np.ndarray:
        """Open the file, all ranks together; return which of this rank's rows are there already: (n,) bool."""
        self.ranks.on_root(lambda: self.path.parent.mkdir(parents=True, exist_ok=True))
        found = np.zeros(len(self.mine), bool)
        reuse = self.ranks.on_root(self._left_behind, attributes) if resume else False
        with self.ranks.together():
            if reuse:
                with h5py.File(partial(self.path), "r") as file:
                    found = self.content.whole(file, self.mine)
        if not reuse:
            self.ranks.on_root(self._create, attributes)
        self._file = h5py.File(partial(self.path), "r+", comm=self.ranks.comm, **self._how)
        self._transfer = h5py.h5p.create(h5py.h5p.DATASET_XFER)
        # MPI-IO's way to put together what many nodes write costs several copies: the ranks of one node do without.
        one_node = self.ranks.local_size == self.ranks.size
        self._transfer.set_dxpl_mpio(h5py.h5fd.MPIO_INDEPENDENT if one_node else h5py.h5fd.MPIO_COLLECTIVE)
        return found

    def write(self, name: str, start: int, values: np.ndarray | None) -> int:
        """Write rows of a column from row `start` on, all ranks together; None: nothing from this one. Return bytes."""
        dataset, column = h5py.h5d.open(self._file.id, name.encode()), self.content.columns[name]
        space = dataset.get_space()
        if values is None or not len(values):
            values = np.empty((1, *column.shape), column.dtype)
            memory = h5py.h5s.create_simple(values.shape)
            memory.select_none()
            space.select_none()
            written = 0
        else:
            memory = h5py.h5s.create_simple(values.shape)
            space.select_hyperslab((start, *([0] * len(column.shape))), values.shape)
            written = values.nbytes
        dataset.write(memory, space, values, dxpl=self._transfer)
        return written

    def flush(self) -> None:
        """Nothing to do: through MPI-IO, all writes go straight to the file."""

    def read(self, name: str) -> np.ndarray:
        """Return this rank's rows of a column, all ranks together."""
        self._file.flush()  # with a barrier after it, what other ranks wrote for this one can be seen (MPI-IO's rules)
        self.ranks.barrier()
        return self._file[name][self.mine.start : self.mine.stop]

    def leave(self) -> None:
        """Close the unfinished file, all ranks together, for a later job to go on with."""
        self._file.close()

    def finish(self, attributes: Mapping[str, Any]) -> None:
        """Make the file appear under its name, all ranks together."""
        self._file.flush()  # to the disk, from all nodes
        self._file.close()
        self.ranks.on_root(self._finish, attributes)

    def _create(self, attributes: Mapping[str, Any]) -> None:
        with h5py.File(partial(self.path), "w", comm=MPI.COMM_SELF, **self._how) as file:  # the hints count when it is made
            self.content.create(file, self.content.rows, self._alignment)
            self.content.describe(file)
            _mark(file, attributes)

    def _finish(self, attributes: Mapping[str, Any]) -> None:
        _seal(h5py.File(partial(self.path), "r+"), attributes)
        _appear(self.path, None)

    def _left_behind(self, attributes: Mapping[str, Any]) -> bool:
        try:
            with h5py.File(partial(self.path), "r") as file:
                return _belongs(file, attributes, self.content, self.content.rows)
        except UNREADABLE:
            return False


class PartFiles:
    """A part per rank, without MPI in HDF5; the file itself shows the rows of all parts under the same names."""

    def __init__(self, path: Path, content: Content, ranks: Ranks, mine: range, options: Mapping[str, Any]) -> None:
        self.path, self.content, self.ranks, self.mine = path, content, ranks, mine

    def open(self, attributes: Mapping[str, Any], resume: bool) -> np.ndarray:
        """Open this rank's part, with the rows that interrupted jobs have left; return which rows those are: (n,) bool."""
        left = self.ranks.on_root(self._left_behind, attributes) if resume else []
        self._folder = self.ranks.on_root(self._make_folder)
        found = np.zeros(len(self.mine), bool)
        with self.ranks.together():
            self._file = h5py.File(self._part(self.ranks.rank), "w")
            self.content.create(self._file, len(self.mine))
            _mark(self._file, dict(attributes) | {"first_row": self.mine.start})
            for part, rows in left:
                found |= self._taken_over(part, rows)
            self._file.flush()
        self.ranks.on_root(_remove, {part.parent for part, _ in left})
        return found

    def write(self, name: str, start: int, values: np.ndarray | None) -> int:
        """Write rows of a column from row `start` on; None: nothing. Return bytes."""
        if values is None:
            return 0
        self._file[name][start - self.mine.start : start - self.mine.start + len(values)] = values
        return values.nbytes

    def read(self, name: str) -> np.ndarray:
        """Return this rank's rows of a column."""
        return self._file[name][()]

    def flush(self) -> None:
        """Hand what was written to the operating system: it survives this process."""
        self._file.flush()

    def leave(self) -> None:
        """Close the unfinished part, for a later job to go on with."""
        self._file.close()

    def finish(self, attributes: Mapping[str, Any]) -> None:
        """Join the parts under the file's name, all ranks together."""
        with self.ranks.together():
            self._file.close()
            sync(self._part(self.ranks.rank))
        self.ranks.on_root(self._join, attributes)

    def _join(self, attributes: Mapping[str, Any]) -> None:
        counts = sizes(self.content.rows, self.ranks.size)
        with contextlib.suppress(FileNotFoundError):
            partial(self.path).unlink()
        file = h5py.File(partial(self.path), "w")
        for name, column in self.content.columns.items():
            layout = h5py.VirtualLayout((self.content.rows, *column.shape), column.dtype)
            start = 0
            for rank, count in enumerate(counts):
                if count:
                    part = self._part(rank).relative_to(self.path.parent)
                    layout[start : start + count] = h5py.VirtualSource(str(part), name, (count, *column.shape), column.dtype)
                start += count
            file.create_virtual_dataset(name, layout)
        self.content.describe(file)
        sync(self._folder)
        _seal(file, attributes)
        _appear(self.path, self._folder)

    def _make_folder(self) -> Path:
        """Return a folder that no other writing has used, so that an earlier file stays whole until the end."""
        folder = self.path.with_name(f"{self.path.stem}.parts.{time.time_ns():x}")
        folder.mkdir(parents=True)
        return folder

    def _part(self, rank: int) -> Path:
        return self._folder / f"rank_{rank:05d}.h5"

    def _left_behind(self, attributes: Mapping[str, Any]) -> list[tuple[Path, range]]:
        """Return the parts of interrupted writings of this very file, each with its rows."""
        found = []
        for part in sorted(part for folder in parts_of(self.path) for part in folder.iterdir()):
            with contextlib.suppress(*UNREADABLE), h5py.File(part, "r") as file:
                first, count = int(file.attrs["first_row"]), len(file[CHECKSUMS])
                if _belongs(file, attributes, self.content, count):
                    found.append((part, range(first, first + count)))
        return found

    def _taken_over(self, part: Path, rows: range) -> np.ndarray:
        """Copy what is whole in an old part and belongs to this rank; return which rows those are: (n,) bool."""
        found = np.zeros(len(self.mine), bool)
        common = range(max(rows.start, self.mine.start), min(rows.stop, self.mine.stop))
        with h5py.File(part, "r") as file:
            for block in batches(common, VERIFIED_AT_ONCE):
                there, here = (slice(block.start - own.start, block.stop - own.start) for own in (rows, self.mine))
                whole = self.content.whole(file, range(there.start, there.stop))
                for run in runs(np.flatnonzero(whole)):
                    source = slice(there.start + run.start, there.start + run.stop)
                    target = slice(here.start + run.start, here.start + run.stop)
                    for name in self.content.columns:
                        self._file[name][target] = file[name][source]
                found[here] |= whole
        return found


def runs(numbers: np.ndarray) -> Iterator[range]:
    """Yield the runs of consecutive numbers in an ascending array.

    >>> list(runs(np.array([2, 3, 4, 7])))
    [range(2, 5), range(7, 8)]
    """
    for part in np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1):
        if len(part):
            yield range(int(part[0]), int(part[-1]) + 1)


def _mark(file: h5py.File, attributes: Mapping[str, Any]) -> None:
    for name, value in sorted(attributes.items()):
        file.attrs[name] = value
    file.attrs["complete"] = 0


def _belongs(file: h5py.File, attributes: Mapping[str, Any], content: Content, rows: int) -> bool:
    """Whether an unfinished file is one of what is to be written now."""
    same = ("filetype", "format_version", "fingerprint")
    return all(file.attrs.get(name) == attributes.get(name) for name in same) and all(
        name in file
        and not file[name].is_virtual
        and file[name].shape == (rows, *column.shape)
        and file[name].dtype == column.dtype
        for name, column in content.columns.items()
    )


def _seal(file: h5py.File, attributes: Mapping[str, Any]) -> None:
    """Write the attributes and close the file; the last one says that it is whole."""
    for name, value in sorted(attributes.items()):
        file.attrs[name] = value
    file.flush()
    file.attrs["complete"] = 1
    file.close()


def _appear(path: Path, parts: Path | None) -> None:
    """Make the file appear under its name; parts of earlier files under this name are not needed any more."""
    commit(partial(path), path)
    _remove(set(parts_of(path)) - {parts})


def _remove(folders: set[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
