"""Writing a file of rows (one per sample), all ranks together, each its own block, in the background."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np

from vinfo_mpi.errors import InputError, Stopped
from vinfo_mpi.parallel import signals
from vinfo_mpi.parallel.guard import PATIENCE
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.storage import checksums
from vinfo_mpi.storage.atomic import writing
from vinfo_mpi.storage.hdf5 import Table
from vinfo_mpi.storage.row_backends import Content, PartFiles, SharedFile, runs
from vinfo_mpi.storage.rows import CHECKSUMS, Column, checksum_column

AHEAD = 2  # batches that may wait for the writing thread
SINKS: dict[str, type[SharedFile] | type[PartFiles]] = {"parallel": SharedFile, "virtual": PartFiles}

_abandoned: list[Any] = []  # files of a failed job: closing them would wait for ranks that are gone


class RowWriter:
    """Writes a file of rows; a context manager that all ranks enter and leave together.

    Inside, `todo` holds this rank's rows as batches: those that an interrupted writing has left whole are not among them.
    If any rank is asked to stop, all stop after the same batch: `write` or leaving raises `Stopped`, and what was
    written waits for a later job, whatever its number of ranks.

    Parameters
    ----------
    path : Path
        The file's name once it is whole.
    columns : dict of str to Column
        Datasets with one row per sample.
    rows : int
        Rows in all, over all ranks.
    batch : int
        Rows of one `write`; each rank writes its block of the rows in batches of at most this size, in order.
    ranks : Ranks
    attributes : dict
        Of the file; the same on all ranks. What is known only later is added to `attributes` before leaving.
    tables : dict of str to Table
        Small datasets without a row per sample; the same on all ranks.
    scales : dict of str to str
        Which dataset numbers which axis.
    kind : str
        ``parallel`` or ``virtual``.
    resume : bool
        Go on from what an interrupted writing with the same `fingerprint` has left.
    options : dict
        For MPI-IO: ``alignment`` in bytes, ``hints``.
    stopping : function
        Whether this rank is asked to stop.

    Attributes
    ----------
    todo : list of range
        Batches of this rank's rows that are to be written.
    reused : int
        Rows, over all ranks, that are there already.
    bytes_written : int
        By this rank.
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
        *,
        resume: bool = False,
        options: Mapping[str, Any] | None = None,
        stopping: Callable[[], bool] = signals.wished,
    ) -> None:
        self.path, self.attributes, self.resume = path, dict(attributes), resume
        self._batch, self._ranks, self._stopping = batch, ranks, stopping
        self._columns = dict(sorted(columns.items()))
        content = Content(self._columns | {CHECKSUMS: checksum_column(self._columns)}, rows, dict(tables or {}), dict(scales or {}))
        self._mine = ranks.block(rows)
        self._sink = SINKS[kind](path, content, ranks, self._mine, options or {})
        self.bytes_written = 0
        self._queue: queue.Queue = queue.Queue(AHEAD)
        self._error: BaseException | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        if not self._ranks.threads:
            raise InputError("this MPI library serves one thread only, and files are written by a second one; use another library")
        with writing(self.path):
            there = self._sink.open(self.attributes, self.resume)
        missing = np.flatnonzero(~there) + self._mine.start
        self.todo = [part for run in runs(missing) for part in batches(run, self._batch)]
        every = self._ranks.gather((len(self.todo), int(there.sum())))
        self._calls_left = max(calls for calls, _ in every)
        self.reused = sum(rows for _, rows in every)
        self._apart = self._ranks.apart()
        self._thread.start()
        return self

    def write(self, start: int, values: Mapping[str, np.ndarray]) -> None:
        """Write a batch of this rank's rows, from row `start` on, in the background."""
        self._queue.put((start, values))
        self._raise()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        raised = error
        if raised is None:
            try:
                self.drain()
            except BaseException as found:
                raised = found
        if raised is None:
            with writing(self.path):
                self._sink.finish(self.attributes)
            self._apart.free()
        elif isinstance(raised, Stopped):
            self._end_thread(None)
            with writing(self.path):
                self._sink.leave()
            self._apart.free()
        else:
            _abandoned.append(self._sink)
            # Where all ranks fail together their threads end together: MPI must not be finalised under them. Where
            # they do not, the thread may wait for ever; the guard then ends it.
            self._end_thread(PATIENCE)
        if raised is not error:
            raise raised  # type: ignore[misc]

    def drain(self) -> None:
        """Wait until all batches are written; no `write` may follow. Call before using the ranks inside the block."""
        self._queue.put(None)
        self._thread.join()
        self._raise()  # not together: the other ranks may wait in a write for this one

    def read(self, name: str) -> np.ndarray:
        """Return this rank's rows of a column, those that were there already included; all ranks together, after `drain`."""
        return self._sink.read(name)

    def _end_thread(self, patience: float | None) -> None:
        if self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._queue.put(None, timeout=patience)
                self._thread.join(patience)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error
        if self._stopped:
            raise Stopped

    def _work(self) -> None:
        """Take batches off the queue and write them; after the end go on taking, so that nobody waits."""
        while (item := self._queue.get()) is not None:
            if self._going:
                self._guarded(*item)
        while self._calls_left and self._going:
            self._guarded(self._mine.stop, {})  # take part in the writes of ranks with more rows

    @property
    def _going(self) -> bool:
        return self._error is None and not self._stopped

    def _guarded(self, start: int, values: Mapping[str, np.ndarray]) -> None:
        try:
            self._apart.wait()
            with writing(self.path):
                self._write(start, values)
            self._calls_left -= 1
            self._stopped = self._calls_left > 0 and self._apart.any(self._stopping())
        except BaseException as error:
            self._error = error

    def _write(self, start: int, values: Mapping[str, np.ndarray]) -> None:
        rows: dict[str, np.ndarray | None] = dict.fromkeys([*self._columns, CHECKSUMS])
        if values:
            stored = {name: np.ascontiguousarray(values[name], column.dtype) for name, column in self._columns.items()}
            rows |= stored | {CHECKSUMS: np.stack([checksums.of_rows(column) for column in stored.values()], 1)}
        for name, part in rows.items():
            self.bytes_written += self._sink.write(name, start, part)
        self._sink.flush()
