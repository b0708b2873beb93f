"""The study of the paper on 1 to 512 GPUs: time, memory, bytes of every stage, and what limits it.

The model (model.py) is the plan's formulas and a machine's rates (machine.yaml). It is checked
(check.py): with rates measured on this machine it predicts real stages, which are then run.

    python -m benchmarks.scale --machine mine.yaml --set network=50e9
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks import check, machine, side_by_side
from benchmarks.machine import Machine
from benchmarks.model import GRID, Estimate
from benchmarks.study import OTHERWISE, study, total, with_sedimentation
from vinfo_mpi import units
from vinfo_mpi.parallel import malloc

NIGHT = 12 * 3600.0  # seconds
GPUS = (1, 8, 64, 512)
IMAGES = {"1,281,167 training images": 1_281_167, "50,000 validation images": 50_000}


def main() -> None:
    """Print the tables and write them as JSON."""
    arguments, target = _arguments()
    side_by_side.show(rates_table(target))
    content: dict[str, Any] = {"target": asdict(target), "study": []}
    for name, images in IMAGES.items():
        for ranks in arguments.gpus:
            estimates = study(target, images, ranks)
            side_by_side.show(study_table(target, name, ranks, estimates))
            content["study"] += [
                {"images": images, "gpus": ranks, "seconds": estimate.seconds} | asdict(estimate)
                for estimate in estimates
            ]
    content["otherwise"] = _otherwise(target, arguments.gpus)
    content["check"] = []
    if not arguments.no_check:
        malloc.keep_freed()  # as our commands do
        rows = list(check.rows(check.CASES | (check.MORE if arguments.full else {})))
        side_by_side.show(check.table(rows))
        content["check"] = [asdict(row) for row in rows]
    side_by_side.save(arguments.json, content)
    print(f"{arguments.json}: the same as JSON")


def _arguments() -> tuple[argparse.Namespace, Machine]:
    """Return the command line, and the machine that it describes."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--full", action="store_true", help="a larger case for the check, which takes minutes"
    )
    parser.add_argument(
        "--machine",
        type=Path,
        default=machine.PUBLISHED,
        metavar="FILE",
        help="rates, as in machine.yaml",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="RATE=VALUE",
        help="another rate, as it is reached",
    )
    parser.add_argument("--gpus", type=int, nargs="+", default=GPUS)
    parser.add_argument(
        "--no-check", action="store_true", help="the study alone, which takes no time"
    )
    parser.add_argument(
        "--json", type=Path, default=Path("runs/benchmarks/scale.json"), metavar="FILE"
    )
    arguments = parser.parse_args()
    target = machine.load(arguments.machine)
    rates = {}
    for setting in arguments.set:
        name, _, value = setting.partition("=")
        if name not in target.rates:
            parser.error(f"--set {name}: rates are {', '.join(target.rates)}")
        rates[name] = float(value)
    return arguments, target.reaching(rates)


def rates_table(target: Machine) -> Table:
    """Return the machine as a table."""
    heads = ("", "peak", "share", "reached", "per second, of a", "source")
    result = Table(*heads, title=target.name, title_justify="left")
    for name, rate in target.rates.items():
        result.add_row(
            name,
            f"{rate.peak:.3g}",
            f"{rate.share:.0%}",
            f"{rate.reached:.3g}",
            f"{rate.unit}, {rate.of}",
            rate.source,
        )
    return result


def study_table(target: Machine, name: str, ranks: int, estimates: list[Estimate]) -> Table:
    """Return the stages of a study as a table."""
    result = Table(title=f"{name} on {ranks} GPUs: {target.name}", title_justify="left")
    heads = ("stage", "time", "memory per rank", "read", "written", "communicated", "limited by")
    for head in heads:
        result.add_column(head, justify="left" if head in ("stage", "limited by") else "right")
    for estimate in estimates:
        fits = "" if estimate.memory <= target.memory else ": too much"
        moved = (estimate.read, estimate.written, estimate.communicated)
        result.add_row(
            estimate.stage,
            units.duration(estimate.seconds),
            units.size(estimate.memory) + fits,
            *(units.size(value) if value else "" for value in moved),
            estimate.limit,
        )
    sums = {
        f"all but the {GRID}": total(estimates),
        "all, and the concepts of every checkpoint's own": with_sedimentation(estimates),
    }
    for what, seconds in sums.items():
        verdict = f"{'within' if seconds <= NIGHT else 'more than'} a night of 12 hours"
        result.add_row(what, units.duration(seconds), "", "", "", "", verdict, style="bold")
    return result


def _otherwise(target: Machine, gpus: list[int]) -> list[dict[str, Any]]:
    """Show what the study would take if something were otherwise; return it for JSON."""
    name, images = next(iter(IMAGES.items()))
    heads = [f"{ranks} GPUs" for ranks in gpus]
    title = f"{name}, all but on request, if"
    table = Table("", *heads, title=title, title_justify="left")
    content = []
    for what, options in OTHERWISE.items():
        seconds = [total(study(target, images, ranks, **options)) for ranks in gpus]
        table.add_row(what, *map(units.duration, seconds))
        content.append({"what": what, "seconds": dict(zip(gpus, seconds, strict=True))})
    side_by_side.show(table)
    return content


if __name__ == "__main__":
    main()
