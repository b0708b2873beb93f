"""Writing files of rows, one per sample: all ranks together, each its block, in the background."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np

from vinfo_mpi.errors import InputError, Stopped
from vinfo_mpi.parallel import signals
from vinfo_mpi.parallel.guard import PATIENCE
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.storage.row_file import RowFile

AHEAD = 2  # batches that may wait for the writing thread

_abandoned: list[Any] = []  # files of a failed job: closing them would wait for ranks that are gone


class RowWriter:
    """Writes files of the same rows; a context manager that all ranks enter and leave together.

    Inside, `todo` holds this rank's rows as batches: those that an interrupted writing has left
    whole in all files are not among them. If any rank is asked to stop, all stop after the same
    batch: `write` or leaving raises `Stopped`, and what was written waits for a later job, whatever
    its number of ranks. On leaving, one file after the other becomes whole.

    Parameters
    ----------
    files : sequence of RowFile
        One, or several that are written batch by batch together. One thread writes them all: the
        ranks must not wait for each other in different files.
    batch : int
        Rows of one `write`; each rank writes its block of the rows in batches of at most this size,
        in order.
    ranks : Ranks
    stopping : function
        Whether this rank is asked to stop.
    count_bytes : function of an int
        Told how many bytes this rank has written, when the files are finished.

    Attributes
    ----------
    todo : list of range
        Batches of this rank's rows that any of the files lacks.
    bytes_written : int
        By this rank.
    """

    def __init__(
        self,
        files: Sequence[RowFile],
        batch: int,
        ranks: Ranks,
        *,
        stopping: Callable[[], bool] = signals.wished,
        count_bytes: Callable[[int], None] = lambda count: None,
    ) -> None:
        self.files = files
        self.bytes_written = 0
        self._batch = batch
        self._ranks = ranks
        self._stopping = stopping
        self._count_bytes = count_bytes
        self._queue: queue.Queue = queue.Queue(AHEAD)
        self._error: BaseException | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        if not self._ranks.threads:
            raise InputError(
                "this MPI library serves one thread only, and files are written by a second one; "
                "use another library"
            )
        for file in self.files:
            file.open(self._batch)
        starts = {rows.start: rows for file in self.files for rows in file.todo}
        self.todo = [starts[start] for start in sorted(starts)]
        self._calls_left = len(self.files) * self._ranks.max(len(self.todo))
        self._ranks_of_thread = self._ranks.duplicate()
        self._thread.start()
        return self

    def write(self, start: int, values: Mapping[str, np.ndarray], file: int = 0) -> None:
        """Write a batch of this rank's rows, from row `start` on, in the background.

        Of several files each is given every batch of `todo`, in their order: nothing where it has
        these rows.
        """
        self._queue.put((file, start, values))
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
            for file in self.files:
                file.finish()
            self._ranks_of_thread.free()
            self._count_bytes(self.bytes_written)
        elif isinstance(raised, Stopped):
            self._end_thread(None)
            for file in self.files:
                file.leave()
            self._ranks_of_thread.free()
        else:
            _abandoned.extend(self.files)
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

        Keeps taking after the end, so that nobody waits.
        """
        while (item := self._queue.get()) is not None:
            if self._going:
                self._guarded(*item)
        count = len(self.files)
        while self._calls_left and self._going:
            # Take part in the writes of ranks with more rows.
            number = -self._calls_left % count
            self._guarded(number, self.files[number].block.stop, {})

    @property
    def _going(self) -> bool:
        return self._error is None and not self._stopped

    def _guarded(self, number: int, start: int, values: Mapping[str, np.ndarray]) -> None:
        try:
            self._ranks_of_thread.wait()
            self.bytes_written += self.files[number].write(start, values)
            self._calls_left -= 1
            asked_to_stop = self._calls_left > 0 and self._ranks_of_thread.any(self._stopping())
            self._stopped = asked_to_stop
        except BaseException as error:
            self._error = error
