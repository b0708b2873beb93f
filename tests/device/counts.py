"""Counts of what a device is asked for, by the line of vinfo_mpi that asks."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

PACKAGE = str(Path(__file__).parents[2] / "vinfo_mpi") + os.sep


class Counts:
    """What a device has been asked for.

    Attributes
    ----------
    operations : int
    synchronisations : Counter
        How often the processor would have waited for the device, by reason and line of vinfo_mpi.
    copied : Counter
        Bytes that would have gone to the device or come from it, by direction and line.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.operations = 0
        self.synchronisations: Counter[str] = Counter()
        self.copied: Counter[str] = Counter()

    def wait(self, reason: str) -> None:
        """Count a synchronisation."""
        self.synchronisations[f"{reason} {_line()}"] += 1

    def copy(self, direction: str, size: int, waits: bool) -> None:
        """Count a copy of so many bytes."""
        self.copied[f"{direction} {_line()}"] += size
        if waits:
            self.wait(direction)

    def summary(self) -> dict[str, Any]:
        """Return all counts, for JSON."""
        return {
            "operations": self.operations,
            "synchronisations": dict(self.synchronisations.most_common()),
            "copied": dict(self.copied.most_common()),
        }


def _line() -> str:
    """Return file and line of vinfo_mpi that are being run."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith(PACKAGE):
            return f"{frame.f_code.co_filename.removeprefix(PACKAGE)}:{frame.f_lineno}"
        frame = frame.f_back
    return "elsewhere"
