"""What this machine can do at most, measured in the same run as what is compared with it."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

import torch

from vinfo_mpi.parallel import malloc, memory

T = TypeVar("T")

SIDE = {"cpu": 2048, "cuda": 8192}  # of the square matrices that are multiplied
IN_A_ROW = {"cpu": 1, "cuda": 10}  # calls that are timed together: to launch one takes a while
COPIED = 2**28  # bytes
WRITTEN = 2**28  # bytes
REPEATS = 5
_clock = time.perf_counter


@cache
def matrix_rate(dtype: torch.dtype = torch.float64, device: str = "cpu") -> float:
    """Return the floating-point operations per second of a large square matrix product."""
    side = SIDE[device]
    left = torch.randn(side, side, dtype=dtype, device=device)
    right = torch.randn(side, side, dtype=dtype, device=device)
    result = torch.empty_like(left)
    calls = IN_A_ROW[device]

    def multiply() -> None:
        for _ in range(calls):
            torch.mm(left, right, out=result)

    return 2 * side**3 * calls / best(multiply)


@cache
def copy_bandwidth(device: str = "cpu") -> float:
    """Return the bytes per second that a copy of memory moves, read and written ones together."""
    source = torch.ones(COPIED // 8, dtype=torch.float64, device=device)
    target = torch.empty_like(source)
    return 2 * COPIED / best(lambda: target.copy_(source))


@cache
def disk_rate(folder: Path) -> float:
    """Return the bytes per second of a plain write of an array to a folder.

    As far as the kernel's buffers.
    """
    values = torch.ones(WRITTEN // 8, dtype=torch.float64).numpy()
    with tempfile.TemporaryDirectory(dir=folder) as place:
        return WRITTEN / best(lambda: values.tofile(Path(place) / "values"))


def best(call: Callable[[], object]) -> float:
    """Return the shortest time of a few calls, after a first to warm up.

    A limit is what was reached at least once.
    """
    call()
    return min(timed(call)[0] for _ in range(REPEATS))


def timed(call: Callable[[], T]) -> tuple[float, T]:
    """Return the seconds that a call takes, work on a GPU included, and its value."""
    start = _clock()
    value = call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return _clock() - start, value


def count_cpu_seconds() -> None:
    """Let `timed` count the processor's seconds, whatever else keeps the machine busy.

    With one thread they are what an idle machine would take, but for waiting.
    """
    global _clock
    _clock = time.process_time


class Peak:
    """The most memory that this process holds above what it held before: a context manager.

    Attributes
    ----------
    bytes : int or None
        Known after the block; None where the kernel does not let a process reset its peak.
    """

    bytes: int | None = None
    _before: int | None = None

    def __enter__(self) -> Peak:
        # What the process had kept would be used again, and not be noticed.
        before = malloc.resident()
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
            self._before = before
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            self.bytes = max(0, memory.peak() - self._before)


def threads() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0))
