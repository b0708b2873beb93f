"""Ours and its peers on the same data, in turn: the same answer first, then the times.

As a table and as JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import limits
from vinfo_mpi.parallel import malloc

PATIENCE = 30.0  # seconds after which one call is not repeated


@dataclass(frozen=True)
class Options:
    """What the command line asks for: large sizes, repeats of every call, device."""

    full: bool = False
    repeats: int = 3
    device: str = "cpu"


@dataclass(frozen=True)
class Contestant:
    """One way to compute the answer.

    Attributes
    ----------
    name : str
    call : function
        Computes the answer and returns it.
    work : float
        Floating-point operations or bytes of a call, whatever `limit` is in; what the problem
        needs, not what is done.
    limit : float
        The most of them per second that the machine can do.
    """

    name: str
    call: Callable[[], Any]
    work: float | None = None
    limit: float | None = None


@dataclass
class Row:
    """What was measured of one contestant.

    Attributes
    ----------
    case, method : str
    seconds : list of float
        Of every call.
    ratio : float or None
        Median time over that of the first contestant.
    share : float or None
        Of the machine's limit.
    peak : int or None
        Bytes of memory above what was held before the call.
    note : str
    """

    case: str
    method: str
    seconds: list[float]
    ratio: float | None = None
    share: float | None = None
    peak: int | None = None
    note: str = ""

    @property
    def median(self) -> float:
        """Median of the times, in seconds."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Largest difference of the times, relative to their median."""
        return (max(self.seconds) - min(self.seconds)) / self.median


@dataclass
class _Trial:
    contestant: Contestant
    seconds: list[float] = field(default_factory=list)
    peak: int | None = None


def compare(
    case: str,
    contestants: Iterable[Contestant],
    same: Callable[[dict[str, Any]], str],
    repeats: int = 3,
) -> list[Row]:
    """Return one row per contestant, the first being ours.

    Every contestant is called once, and the answers are compared; these calls also warm up and
    measure the memory. Then all are called in turn, so that a machine that slows down slows all of
    them; what took long is called no more.

    Parameters
    ----------
    same : function of a dict from name to answer
        Says how far the answers agree, or raises `AssertionError` where they do not.
    """
    trials = [_Trial(contestant) for contestant in contestants]
    answers: dict[str, Any] = {}
    for trial in trials:
        with limits.Peak() as peak:
            first, answers[trial.contestant.name] = limits.timed(trial.contestant.call)
        trial.peak = peak.bytes
        if first > PATIENCE:
            trial.seconds.append(first)
    note = same(answers)
    del answers
    for _ in range(repeats):
        for trial in trials:
            if not trial.seconds or trial.seconds[0] <= PATIENCE:
                trial.seconds.append(limits.timed(trial.contestant.call)[0])
    ours = statistics.median(trials[0].seconds)
    rows = []
    for trial in trials:
        contestant = trial.contestant
        row = Row(case, contestant.name, trial.seconds, peak=trial.peak)
        row.ratio = row.median / ours
        if contestant.work and contestant.limit:
            row.share = contestant.work / row.median / contestant.limit
        rows.append(row)
    rows[0].note = note
    return rows


def main(doc: str, name: str, cases: Callable[[Options], Iterator[list[Row]]]) -> None:
    """Run a benchmark from the command line: print its table, write its JSON.

    Parameters
    ----------
    doc : str
        Of the benchmark.
    name : str
        Its module's name: the JSON goes to runs/benchmarks/<name>.json.
    cases : function of the options
        Yields the rows of each case when they are measured.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}", description=doc.split("\n")[0]
    )
    parser.add_argument("--full", action="store_true", help="large sizes, which take long")
    parser.add_argument(
        "--repeats", type=int, default=3, help="of every call that takes less than 30 seconds"
    )
    parser.add_argument(
        "--device", default="cpu", choices=["cpu", "cuda"], help="where ours computes"
    )
    parser.add_argument(
        "--busy", action="store_true", help="beside another process, which wants a core"
    )
    add_cpu_seconds(parser)
    parser.add_argument(
        "--json", type=Path, default=Path(f"runs/benchmarks/{name}.json"), metavar="FILE"
    )
    arguments = parser.parse_args()
    if arguments.cpu_seconds:
        limits.count_cpu_seconds()
    torch.backends.cuda.matmul.allow_tf32 = False  # as in our commands
    torch.backends.cudnn.allow_tf32 = False
    if arguments.device == "cpu":
        malloc.keep_freed()  # as our commands do: for peers too
    rows: list[Row] = []
    print(doc.split("\n")[0], flush=True)
    with beside_another_process(arguments.busy):
        for case in cases(Options(arguments.full, arguments.repeats, arguments.device)):
            show(table(case))
            rows += case
            content = {"busy": arguments.busy, "rows": [asdict(row) for row in rows]}
            save(arguments.json, content, arguments.device)
    print(f"{arguments.json}: the same as JSON")


def add_cpu_seconds(parser: argparse.ArgumentParser) -> None:
    """Add the option for machines that others keep busy."""
    parser.add_argument(
        "--cpu-seconds",
        action="store_true",
        help="count the processor's seconds, where others keep the machine busy: with "
        "OMP_NUM_THREADS=1",
    )


@contextmanager
def beside_another_process(busy: bool) -> Iterator[None]:
    """Keep a core busy meanwhile, if so, as a process of another user does on a shared node."""
    if not busy:
        yield
        return
    # In a session of its own: the kernel shares the cores between sessions first.
    command = [sys.executable, "-c", "while True: pass"]
    with subprocess.Popen(command, start_new_session=True) as neighbour:
        try:
            yield
        finally:
            neighbour.kill()


def show(result: Table) -> None:
    """Print a table, wide where nobody looks on."""
    Console(width=None if Console().is_terminal else 150).print(result)


def save(path: Path, content: Mapping[str, Any], device: str = "cpu") -> None:
    """Write what was measured, and on what machine, as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine(device)} | dict(content), indent=2) + "\n")


def table(rows: list[Row]) -> Table:
    """Return the rows of a case as a table for people."""
    result = Table(title=rows[0].case, title_justify="left")
    numbers = ("median", "spread", "times ours", "of the limit", "memory")
    for head in ("method", *numbers, "same answer"):
        result.add_column(head, justify="left" if head in ("method", "same answer") else "right")
    for row in rows:
        result.add_row(
            row.method,
            f"{row.median:.3g} s",
            f"{row.spread:.0%}" if len(row.seconds) > 1 else "one call",
            "" if row.ratio is None else f"{row.ratio:.3g}",
            "" if row.share is None else f"{row.share:.0%}",
            "" if row.peak is None else f"{row.peak / 1e6:.0f} MB",
            row.note,
        )
    return result


def machine(device: str) -> dict[str, Any]:
    """Return when and on what this ran, and the rates of what ours computed on."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": limits.threads(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "matrix products, float64, operations/s": limits.matrix_rate(device=device),
        "copy, bytes/s": limits.copy_bandwidth(device),
    }
