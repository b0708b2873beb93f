"""The time of a stage, phase by phase, and the bytes that it moves."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch

from vinfo_mpi.parallel import memory
from vinfo_mpi.parallel.ranks import Ranks

T = TypeVar("T")


class Clock:
    """Seconds per named phase of one stage on this rank, and bytes read and written.

    Parameters
    ----------
    ranks : Ranks
    device : torch.device
        Where this rank computes: a phase ends when the device is done with it.
    """

    def __init__(self, ranks: Ranks, device: torch.device) -> None:
        self.ranks = ranks
        self.device = device
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.bytes_read = 0
        self.bytes_written = 0
        self._sent_before = ranks.bytes_sent
        self._start = time.perf_counter()

    @contextmanager
    def phase(self, name: str, wait: bool = True) -> Iterator[None]:
        """Count the time of the block under this name.

        Without `wait`, what the device has been told and not yet done counts for the next phase.
        """
        start = time.perf_counter()
        try:
            yield
            if wait and self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
        finally:
            self.seconds[name] += time.perf_counter() - start

    def each(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """Yield the items; the time that they are waited for counts under this name."""
        iterator = iter(items)
        while True:
            with self.phase(name, wait=False):
                item = next(iterator, self)
            if item is self:
                return
            yield item  # type: ignore[misc]

    def summary(self) -> dict:
        """Return seconds of each phase, bytes moved and peak memory, over all ranks.

        Seconds are minimum, mean and maximum over the ranks; bytes are summed; the memory is the
        largest of any rank since the program started; that of tensors on a device, since the stage
        began.
        """
        self.seconds["total"] = time.perf_counter() - self._start
        moved = {
            "read": self.bytes_read,
            "written": self.bytes_written,
            "communicated": self.ranks.bytes_sent - self._sent_before,
        }
        seconds_of_ranks = self.ranks.allgather(dict(self.seconds))
        moved_of_ranks = self.ranks.allgather(moved)
        peaks = {"peak_memory": self.ranks.max(memory.peak())}
        if self.device.type == "cuda":
            of_device = memory.peak_of_device(self.device)
            peaks["peak_device_memory"] = self.ranks.max(of_device)
        return {
            "ranks": self.ranks.size,
            "seconds": _spread(seconds_of_ranks),
            **peaks,
            "bytes": {name: sum(counts[name] for counts in moved_of_ranks) for name in moved},
        }


def _spread(seconds_of_ranks: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return minimum, mean and maximum over the ranks of every phase that any of them has."""
    spread = {}
    for name in sorted({name for seconds in seconds_of_ranks for name in seconds}):
        values = [seconds.get(name, 0.0) for seconds in seconds_of_ranks]
        spread[name] = {"min": min(values), "mean": sum(values) / len(values), "max": max(values)}
    return spread
