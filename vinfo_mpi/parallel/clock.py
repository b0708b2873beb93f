"""Where a stage's time goes, phase by phase, and what it moves."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from vinfo_mpi.parallel.ranks import Ranks

T = TypeVar("T")


class Clock:
    """Seconds per named phase of one stage on this rank, and bytes read and written."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.bytes_read = self.bytes_written = 0
        self._sent_before = ranks.bytes_sent
        self._start = time.perf_counter()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time of the block under this name."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start

    def each(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """Yield the items; the time that they are waited for counts under this name."""
        iterator = iter(items)
        while True:
            with self.phase(name):
                item = next(iterator, self)
            if item is self:
                return
            yield item  # type: ignore[misc]

    def summary(self) -> dict:
        """Return seconds (minimum, mean, maximum over the ranks) of each phase, bytes moved and peak memory.

        Bytes are summed over the ranks; the memory is the largest of any rank since the program started.
        """
        self.seconds["total"] = time.perf_counter() - self._start
        moved = (self.bytes_read, self.bytes_written, self.ranks.bytes_sent - self._sent_before)
        every = self.ranks.gather((dict(self.seconds), moved, peak_memory()))
        names = sorted({name for seconds, *_ in every for name in seconds})
        phases = {name: [seconds.get(name, 0.0) for seconds, *_ in every] for name in names}
        read, written, sent = (sum(column) for column in zip(*(moved for _, moved, _ in every), strict=True))
        return {
            "ranks": self.ranks.size,
            "seconds": {
                name: {"min": min(values), "mean": sum(values) / len(values), "max": max(values)} for name, values in phases.items()
            },
            "peak_memory": max(peak for *_, peak in every),
            "bytes": {"read": read, "written": written, "communicated": sent},
        }


def peak_memory() -> int:
    """Return the most memory that this process has held, in bytes; unlike getrusage's, not that of its parent."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024
