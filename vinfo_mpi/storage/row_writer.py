"""Writing a file of rows, one per sample: all ranks together, each its block, in the background."""

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
from vinfo_mpi.storage.part_files import PartFiles
from vinfo_mpi.storage.row_content import RowContent, consecutive
from vinfo_mpi.storage.rows import CHECKSUMS, Column, checksum_column
from vinfo_mpi.storage.shared_file import SharedFile

AHEAD = 2  # batches that may wait for the writing thread
BACKENDS: dict[str, type[SharedFile] | type[PartFiles]] = {
    "parallel": SharedFile,
    "virtual": PartFiles,
}

_abandoned: list[Any] = []  # files of a failed job: closing them would wait for ranks that are gone


class RowWriter:
    """Writes a file of rows; a context manager that all ranks enter and leave together.

    Inside, `todo` holds this rank's rows as batches: those that an interrupted writing has left
    whole are not among them. If any rank is asked to stop, all stop after the same batch: `write`
    or leaving raises `Stopped`, and what was written waits for a later job, whatever its number of
    ranks.

    Parameters
    ----------
    path : Path
        The file's name once it is whole.
    columns : dict of str to Column
        Datasets with one row per sample.
    rows : int
        Rows in all, over all ranks.
    batch : int
        Rows of one `write`; each rank writes its block of the rows in batches of at most this size,
        in order.
    ranks : Ranks
    attributes : dict
        Of the file; the same on all ranks. What is known only later is added to `attributes` before
        leaving.
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
    count_bytes : function of an int
        Told how many bytes this rank has written, when the file is finished.

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
        count_bytes: Callable[[int], None] = lambda count: None,
    ) -> None:
        self.path = path
        self.attributes = dict(attributes)
        self.resume = resume
        self._batch = batch
        self._ranks = ranks
        self._stopping = stopping
        self._columns = dict(sorted(columns.items()))
        with_checksums = self._columns | {CHECKSUMS: checksum_column(self._columns)}
        content = RowContent(with_checksums, rows, dict(tables or {}), dict(scales or {}))
        self._block = ranks.block(rows)
        self._backend = BACKENDS[kind](path, content, ranks, self._block, options or {})
        self.bytes_written = 0
        self._queue: queue.Queue = queue.Queue(AHEAD)
        self._error: BaseException | None = None
        self._stopped = False
        self._count_bytes = count_bytes
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        if not self._ranks.threads:
            raise InputError(
                "this MPI library serves one thread only, and files are written by a second one; "
                "use another library"
            )
        with writing(self.path):
            there = self._backend.open(self.attributes, self.resume)
        missing = consecutive(np.flatnonzero(~there) + self._block.start)
        self.todo = [batch for stretch in missing for batch in batches(stretch, self._batch)]
        counts = self._ranks.allgather((len(self.todo), int(there.sum())))
        self._calls_left = max(calls for calls, _ in counts)
        self.reused = sum(rows for _, rows in counts)
        self._ranks_of_thread = self._ranks.duplicate()
        self._thread.start()
        return self

    def write(self, start: int, values: Mapping[str, np.ndarray]) -> None:
        """Write a batch of this rank's rows, from row `start` on, in the background."""
        self._queue.put((start, values))
        self._raise()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        raised = error
        if raised is None:
            try:
                self.drain()
            except BaseException as of_thread:
                raised = of_thread
        if raised is None:
            with writing(self.path):
                self._backend.finish(self.attributes)
            self._ranks_of_thread.free()
            self._count_bytes(self.bytes_written)
        elif isinstance(raised, Stopped):
            self._end_thread(None)
            with writing(self.path):
                self._backend.leave()
            self._ranks_of_thread.free()
        else:
            _abandoned.append(self._backend)
            # Where all ranks fail together their threads end together: MPI must not be finalised
            # under them. Where they do not, the thread may wait for ever; the guard then ends it.
            self._end_thread(PATIENCE)
        if raised is not error:
            raise raised  # type: ignore[misc]

    def drain(self) -> None:
        """Wait until all batches are written; no `write` may follow.

        Call this before using the ranks inside the block.
        """
        self._queue.put(None)
        self._thread.join()
        self._raise()  # not together: the other ranks may wait in a write for this one

    def read(self, name: str) -> np.ndarray:
        """Return this rank's rows of a column, all ranks together, after `drain`.

        Those that were there already are included.
        """
        return self._backend.read(name)

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
        """Take batches off the queue and write them.

        After the end go on taking, so that nobody waits.
        """
        while (item := self._queue.get()) is not None:
            if self._going:
                self._guarded(*item)
        while self._calls_left and self._going:
            self._guarded(self._block.stop, {})  # take part in the writes of ranks with more rows

    @property
    def _going(self) -> bool:
        return self._error is None and not self._stopped

    def _guarded(self, start: int, values: Mapping[str, np.ndarray]) -> None:
        try:
            self._ranks_of_thread.wait()
            with writing(self.path):
                self._write(start, values)
            self._calls_left -= 1
            asked_to_stop = self._calls_left > 0 and self._ranks_of_thread.any(self._stopping())
            self._stopped = asked_to_stop
        except BaseException as error:
            self._error = error

    def _write(self, start: int, values: Mapping[str, np.ndarray]) -> None:
        rows: dict[str, np.ndarray | None] = dict.fromkeys([*self._columns, CHECKSUMS])
        if values:
            stored = [
                np.ascontiguousarray(values[name], column.dtype)
                for name, column in self._columns.items()
            ]
            sums = [checksums.crc32_of_rows(column) for column in stored]
            rows |= dict(zip(self._columns, stored, strict=True))
            rows[CHECKSUMS] = np.stack(sums, 1)
        for name, values_of_column in rows.items():
            self.bytes_written += self._backend.write(name, start, values_of_column)
        self._backend.flush()
