"""Files of rows (one per sample) that all ranks write together, each its own block.

Where h5py has MPI, all ranks write one shared file through MPI-IO, collectively. Where it has not, each rank writes a
part and rank 0 joins the parts by virtual datasets under the same names, so that no reader can tell.
"""

from __future__ import annotations

import contextlib
import queue
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import h5py
import numpy as np

from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel.division import block, sizes
from vinfo_mpi.parallel.guard import PATIENCE
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.storage.files import Table, attach_scales, commit, describe, open_checked, partial

CHUNK_BYTES = 2**20
LARGEST_WRITE = 2**30  # bytes in one write: HDF5 1.10 fails above 2 GiB
AHEAD = 2  # batches that may wait for the writing thread

_abandoned: list[h5py.File] = []  # files of a failed job: closing them would wait for ranks that are gone


@dataclass(frozen=True)
class Column:
    """A dataset with one row per sample: shape of a row, dtype, and what the values are."""

    shape: tuple[int, ...]
    dtype: str
    table: Table  # description, units, axes, attributes; its values come row by row

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize

    def chunks(self, rows: int) -> tuple[int, ...]:
        """Return chunks of whole rows, about one MiB."""
        return (min(max(1, rows), max(1, CHUNK_BYTES // max(1, self.row_bytes))), *self.shape)


def storage_kind(wanted: Literal["auto", "parallel", "virtual"]) -> Literal["parallel", "virtual"]:
    """Return how row files are written here; raise `InputError` where parallel is wanted and h5py is serial."""
    parallel = bool(h5py.get_config().mpi)
    if wanted == "parallel" and not parallel:
        raise InputError("machine.storage is parallel, but this h5py is serial; use auto or virtual, or set up an MPI h5py")
    return "parallel" if wanted in ("auto", "parallel") and parallel else "virtual"


def batch_rows(columns: Mapping[str, Column], wanted: int) -> int:
    """Return a batch size whose writes stay below the largest that HDF5 takes."""
    largest = max((column.row_bytes for column in columns.values()), default=1)
    return max(1, min(wanted, LARGEST_WRITE // max(1, largest)))


class RowWriter:
    """Writes a file of rows; a context manager that all ranks enter and leave together.

    Parameters
    ----------
    path : Path
        The file's name once it is whole.
    columns : dict of str to Column
        Datasets with one row per sample.
    rows : int
        Rows in all, over all ranks.
    batch : int
        Rows of one `write`; each rank writes its block of the rows in batches of this size, in order.
    ranks : Ranks
    attributes : dict
        Of the file; the same on all ranks. What is known only later is added to `attributes` before leaving.
    tables : dict of str to Table
        Small datasets without a row per sample; the same on all ranks.
    scales : dict of str to str
        Which dataset numbers which axis.
    kind : str
        ``parallel`` or ``virtual``.
    """

    def __init__(
        self,
        path: Path,
        columns: Mapping[str, Column],
        rows: int,
        batch: int,
        ranks: Ranks,
        attributes: Mapping[str, Any],
        tables: Mapping[str, Table] | None = None,
        scales: Mapping[str, str] | None = None,
        kind: Literal["parallel", "virtual"] = "parallel",
    ) -> None:
        self.path, self.rows, self.ranks, self.kind = path, rows, ranks, kind
        self.columns = dict(sorted(columns.items()))
        self.attributes, self.tables, self.scales = dict(attributes), dict(tables or {}), dict(scales or {})
        self.bytes_written = 0
        self._mine = block(rows, ranks.size, ranks.rank)
        self._calls_left = -(-len(block(rows, ranks.size, 0)) // batch)  # rank 0 has the most rows
        self._queue: queue.Queue = queue.Queue(AHEAD)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        self._parts = self.ranks.on_root(self._make_folders)
        with self.ranks.together():
            if self.kind == "parallel":
                self._file = h5py.File(partial(self.path), "w", driver="mpio", comm=self.ranks.comm)
                self._create(self._file, self.rows, everything=True)
            else:
                self._file = h5py.File(self._part(self.ranks.rank), "w")
                self._create(self._file, len(self._mine), everything=False)
        self._thread.start()
        return self

    def write(self, start: int, values: Mapping[str, np.ndarray]) -> None:
        """Write the next batch of this rank's rows, from row `start` on, in the background."""
        self._queue.put((start, values))
        self._raise()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            _abandoned.append(self._file)
            # Where all ranks fail together their threads end together: MPI must not be finalised under them. Where
            # they do not, the thread may wait for ever; the guard then ends it.
            with contextlib.suppress(queue.Full):
                self._queue.put(None, timeout=PATIENCE)
                self._thread.join(PATIENCE)
            return
        self.drain()
        if self.kind == "parallel":
            self._seal(self._file)
            self.ranks.on_root(self._commit)
        else:
            self._file.flush()
            self._file.close()
            self.ranks.barrier()
            self.ranks.on_root(self._join)

    def drain(self) -> None:
        """Wait until all batches are written; no `write` may follow. Call before using the ranks inside the block."""
        self._queue.put(None)
        self._thread.join()
        self._raise()  # not together: the other ranks may wait in a collective write for this one

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        """Take batches off the queue and write them; after an error go on taking, so that nobody waits."""
        while (item := self._queue.get()) is not None:
            if self._error is None:
                self._guarded(*item)
        while self._calls_left and self._error is None:
            self._guarded(self._mine.stop, {})  # take part in the collective writes of ranks with more rows

    def _guarded(self, start: int, values: Mapping[str, np.ndarray]) -> None:
        try:
            for name, column in self.columns.items():
                self._write(self._file[name], column, start, values.get(name))
            self._calls_left -= 1
        except BaseException as error:
            self._error = error

    def _write(self, dataset: h5py.Dataset, column: Column, start: int, values: np.ndarray | None) -> None:
        if self.kind == "virtual":
            if values is not None:
                dataset[start - self._mine.start : start - self._mine.start + len(values)] = values
                self.bytes_written += values.nbytes
            return
        space = dataset.id.get_space()
        if values is None or not len(values):
            values = np.empty((1, *column.shape), column.dtype)
            memory = h5py.h5s.create_simple(values.shape)
            memory.select_none()
            space.select_none()
        else:
            values = np.ascontiguousarray(values, column.dtype)
            memory = h5py.h5s.create_simple(values.shape)
            space.select_hyperslab((start, *([0] * len(column.shape))), values.shape)
            self.bytes_written += values.nbytes
        transfer = h5py.h5p.create(h5py.h5p.DATASET_XFER)
        transfer.set_dxpl_mpio(h5py.h5fd.MPIO_COLLECTIVE)
        dataset.id.write(memory, space, values, dxpl=transfer)

    def _create(self, file: h5py.File, rows: int, everything: bool) -> None:
        """Create all datasets, in the same order on all ranks; small ones are written by rank 0."""
        for name, column in self.columns.items():
            file.create_dataset(
                name,
                (rows, *column.shape),
                column.dtype,
                chunks=column.chunks(rows) if rows else None,
                fill_time="never",
            )
        if everything:
            self._finish_metadata(file)

    def _finish_metadata(self, file: h5py.File) -> None:
        for name, table in sorted(self.tables.items()):
            values = np.asarray(table.values)
            dataset = file.create_dataset(name, values.shape, values.dtype)
            if self.ranks.is_root:
                dataset[...] = values
        described = {name: column.table for name, column in self.columns.items()} | self.tables
        scales = {axis: file[name] for axis, name in sorted(self.scales.items())}
        for axis, dataset in scales.items():
            dataset.make_scale(axis)
        for name, table in sorted(described.items()):
            describe(file[name], table)
            attach_scales(file[name], table, scales)

    def _seal(self, file: h5py.File) -> None:
        """Write the attributes; the last one says that the file is whole."""
        for name, value in sorted(self.attributes.items()):
            file.attrs[name] = value
        file.flush()
        file.attrs["complete"] = 1
        file.close()

    def _join(self) -> None:
        """Write the file whose virtual datasets show the rows of all parts, and put everything in its place."""
        with h5py.File(partial(self.path), "w") as file:
            for name, column in self.columns.items():
                layout = h5py.VirtualLayout((self.rows, *column.shape), column.dtype)
                start = 0
                for rank, count in enumerate(sizes(self.rows, self.ranks.size)):
                    if count:
                        part = self._part(rank).relative_to(self.path.parent)
                        source = h5py.VirtualSource(str(part), name, (count, *column.shape), column.dtype)
                        layout[start : start + count] = source
                    start += count
                file.create_virtual_dataset(name, layout)
            self._finish_metadata(file)
            self._seal(file)
        self._commit()

    def _commit(self) -> None:
        """Make the file appear under its name; parts of earlier files under this name are not needed any more."""
        commit(partial(self.path), self.path)
        for folder in set(_parts_of(self.path)) - {self._parts}:
            shutil.rmtree(folder)

    def _make_folders(self) -> Path:
        """Return a folder for parts that no other writing has used, so that an earlier file stays whole until the end."""
        folder = self.path.with_name(f"{self.path.stem}.parts.{time.time_ns():x}")
        (folder if self.kind == "virtual" else folder.parent).mkdir(parents=True, exist_ok=True)
        return folder

    def _part(self, rank: int) -> Path:
        return self._parts / f"rank_{rank:05d}.h5"


def fingerprint(path: Path, filetype: str) -> str | None:
    """Return the fingerprint of a file of rows, None where it or one of its parts is missing or damaged."""
    try:
        with RowReader(path, filetype) as file:
            return str(file.attributes["fingerprint"])
    except (InputError, KeyError):
        return None


def remove(path: Path) -> None:
    """Delete a file of rows, with its parts."""
    path.unlink(missing_ok=True)
    for folder in _parts_of(path):
        shutil.rmtree(folder)


def _parts_of(path: Path) -> list[Path]:
    return list(path.parent.glob(f"{path.stem}.parts.*"))


class RowReader:
    """Reads rows of a finished file, whichever way it was written."""

    def __init__(self, path: Path, filetype: str) -> None:
        self.path = path
        self.file = open_checked(path, filetype)
        self.attributes = dict(self.file.attrs)
        self.bytes_read = 0
        self._check_parts()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def __contains__(self, name: str) -> bool:
        return name in self.file

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a dataset."""
        return self.file[name].shape

    def read(self, name: str, rows: range | None = None) -> np.ndarray:
        """Return the rows of a dataset; all of them by default."""
        try:
            values = self.file[name][() if rows is None else slice(rows.start, rows.stop)]
        except OSError as error:
            raise InputError(f"{self.path}: /{name} cannot be read ({error}); delete the file and run its stage again") from None
        self.bytes_read += values.nbytes
        return values

    def names(self, group: str) -> list[str]:
        """Return the names in a group."""
        return list(self.file[group])

    def attribute(self, name: str, key: str) -> Any:
        """Return an attribute of a dataset or group."""
        return self.file[name].attrs[key]

    def _check_parts(self) -> None:
        """A virtual dataset may read as zeros where a part is missing or damaged: look before."""
        parts: set[str] = set()

        def visit(name: str, thing: object) -> None:
            if isinstance(thing, h5py.Dataset) and thing.is_virtual:
                parts.update(source.file_name for source in thing.virtual_sources())

        self.file.visititems(visit)
        for part in sorted(parts):
            try:
                h5py.File(self.path.parent / part, "r").close()
            except OSError as error:
                self.file.close()
                remedy = "copy the parts along, or run its stage again"
                raise InputError(f"{self.path}: its part {part} is missing or damaged ({error}); {remedy}") from None
