"""What a first hour on a GPU finds out: facts, checks, times beside ceilings."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch

T = TypeVar("T")


@dataclass
class Session:
    """One call of `python -m benchmarks.gpu`.

    Attributes
    ----------
    device : torch.device
    tiny : bool
        Whether sizes are so small that a processor can try them.
    seconds : float
        How long all of it may take.
    out, work : Path
        Folders of what is kept, and of runs that are not.
    facts, checks, speeds : dict
        What has been found, by name.
    ceilings : dict of str to float
        Operations or bytes per second that this device has reached, by precision or direction.
    """

    device: torch.device
    tiny: bool
    seconds: float
    out: Path
    work: Path
    facts: dict[str, Any] = field(default_factory=dict)
    checks: dict[str, dict[str, Any]] = field(default_factory=dict)
    speeds: dict[str, dict[str, Any]] = field(default_factory=dict)
    ceilings: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.type == "cuda"

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.seconds - (time.monotonic() - self.started)

    @property
    def failed(self) -> list[str]:
        """Names of the checks that have gone wrong."""
        return [name for name, outcome in self.checks.items() if outcome["right"] is False]

    def check(self, name: str, right: bool, **details: Any) -> None:
        """Note whether something is as it must be."""
        self.checks[name] = {"right": bool(right), **details}
        said = {key: value for key, value in details.items() if key != "text"}
        print(f"{'right' if right else 'WRONG'}  {name}  {said or ''}", flush=True)
        if not right and "text" in details:
            print(details["text"], flush=True)

    def leave_out(self, name: str, reason: str) -> None:
        """Note what has not been looked at, and why."""
        self.checks[name] = {"right": None, "left out": reason}
        print(f"       {name}: left out, {reason}", flush=True)

    def speed(self, name: str, seconds: float, floor: float | None = None, **details: Any) -> None:
        """Note how long something takes, and how long it would take at the ceiling."""
        share = floor / seconds if floor else None
        self.speeds[name] = {
            "seconds": seconds,
            "floor": floor,
            "share of the ceiling": share,
            **details,
        }
        text = f"{share:5.0%} of the ceiling" if share is not None else ""
        print(f"       {name:60s} {seconds:10.4f} s {text}  {details or ''}", flush=True)

    def time(self, call: Callable[[], T], repeats: int = 3, warm: int = 1) -> tuple[float, T]:
        """Return the median seconds of a call, work on the device included, and its last value.

        Parameters
        ----------
        repeats, warm : int
            Calls that are timed, and calls before these.
        """
        for _ in range(warm):
            call()
        seconds = []
        for _ in range(repeats):
            self.synchronise()
            start = time.perf_counter()
            value = call()
            self.synchronise()
            seconds.append(time.perf_counter() - start)
        return statistics.median(seconds), value

    def synchronise(self) -> None:
        """Wait until the device has done what it was given."""
        if self.on_gpu:
            torch.cuda.synchronize()

    def choose(self, full: T, tiny: T) -> T:
        """Return one of two sizes."""
        return tiny if self.tiny else full

    def forget_peak(self) -> None:
        """Give memory back, so that `peak` is that of what follows."""
        if self.on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    @property
    def peak(self) -> int | None:
        """Most bytes of device memory that were in use since `forget_peak`."""
        return torch.cuda.max_memory_allocated() if self.on_gpu else None

    def save(self) -> None:
        """Write what has been found so far: gpu.json."""
        content = {
            "facts": self.facts,
            "checks": self.checks,
            "speeds": self.speeds,
            "ceilings": self.ceilings,
            "failed": self.failed,
        }
        (self.out / "gpu.json").write_text(json.dumps(content, indent=1, default=str) + "\n")
