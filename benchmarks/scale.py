"""The study of the paper on 1 to 512 GPUs: time, memory and bytes of every stage, and what limits it, from rates of a machine.

The model (model.py) is the plan's formulas and a machine's rates (machine.yaml). It is checked (check.py): with rates measured
on this machine it predicts real stages, which are then run.

    python -m benchmarks.scale --machine mine.yaml --set network=50e9
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.table import Table

from benchmarks import check, machine, model, side_by_side
from benchmarks.machine import Machine
from benchmarks.model import GRID, Estimate
from vinfo_mpi import units
from vinfo_mpi.config.load import check_config
from vinfo_mpi.config.schema import Config
from vinfo_mpi.costs.operations import TYPICAL
from vinfo_mpi.costs.sizes import Sizes
from vinfo_mpi.parallel import malloc

NIGHT = 12 * 3600.0  # seconds
OWN = ("dictionary", "encode", "score", "importance")  # of every checkpoint that has concepts of its own
EPOCHS = 90  # and as many checkpoints
GPUS = (1, 8, 64, 512)
IMAGES = {"1,281,167 training images": 1_281_167, "50,000 validation images": 50_000}
RESNET50 = {256: 3, 512: 4, 1024: 6, 2048: 3}  # channels: blocks
PAPER = {
    "data": {"source": "folder", "image_size": 224},
    "network": {"name": "resnet50", "checkpoints": ["*.pt"]},
    "extract": {"dtype": "float16"},
    "dictionary": {"concepts_per_class": 10},
    "machine": {"batch": 256, "workers": 16},
    "analyses": ["flow"],
    "pages": [],
}


def paper(images: int) -> tuple[Sizes, Config]:
    """Return sizes and settings of the paper's study: ResNet-50, 90 checkpoints, 10 concepts for each of 1,000 classes."""
    widths = {f"block {number}": width for number, width in enumerate(w for w, count in RESNET50.items() for _ in range(count))}
    batch, size, parameters = PAPER["machine"]["batch"], 224, 25_557_032  # type: ignore[index]
    return Sizes(
        n=images,
        steps_of=0,  # the training is not part of it
        remembered=0,
        size=size,
        checkpoints=EPOCHS,
        classes=[""] * 1000,
        outputs=1000,
        positions=49,
        map=49,
        d=2048,
        widths=widths,
        branches={f"{name}.{kind}": width for name, width in widths.items() for kind in ("main", "shortcut")},
        maps=1,
        concepts=10_000,
        groups=1000,
        linear=True,
        weights=4 * parameters,
        trainable=4 * parameters,
        tensors=320,
        forward=3.0 * batch * 64 * (size // 2) ** 2 * 4,  # three of the largest maps
        training=0.0,
        backward=0.0,
        operations=8_178_000_000,
        base=1e9,
    ), check_config(PAPER)


def study(
    target: Machine,
    images: int,
    ranks: int,
    *,
    networks_at_once: int = 1,
    iterations: float = TYPICAL["encode"],
    rates: Mapping[str, float] = MappingProxyType({}),
    **settings: Any,
) -> list[Estimate]:
    """Return what the paper's study takes.

    Parameters
    ----------
    iterations : float
        For the codes of a vector, mean.
    rates : dict of str to float
        That win over the machine's.
    settings : dict
        Sections of the configuration that are otherwise.
    """
    sizes, _ = paper(images)
    chosen = check_config(PAPER | settings)
    if chosen.extract.positions != "all":
        sizes.positions = chosen.extract.positions
    return model.estimate(target.reaching(rates), sizes, chosen, ranks, TYPICAL | {"encode": iterations}, networks_at_once)


def total(estimates: list[Estimate]) -> float:
    """Return the seconds of all stages that belong to the study; sedimentation is asked for."""
    return sum(one.seconds for one in estimates if one.stage != GRID)


def with_sedimentation(estimates: list[Estimate]) -> float:
    """Return the seconds of all stages, the grid, and the concepts of every checkpoint's own."""
    own = sum(one.seconds for one in estimates if one.stage in OWN)
    return sum(one.seconds for one in estimates) + (EPOCHS - 1) * own


OTHERWISE: dict[str, dict[str, Any]] = {
    "as it is": {},
    "codes take 400 iterations, not 200": {"iterations": 400.0},
    "320 images a second are read for a GPU, not 1,280": {"rates": {"decode": 320.0}},
    "images are read once for 10 checkpoints": {"networks_at_once": 10},
    "8 of 49 positions (extract.positions: 8)": {"extract": {"dtype": "float16", "positions": 8}},
    "pooled vectors encoded (encode.positions: pooled)": {"encode": {"positions": "pooled"}},
}


# --- showing it ---


def rates_table(target: Machine) -> Table:
    """Return the machine as a table."""
    result = Table("", "peak", "share", "reached", "per second, of a", "source", title=target.name, title_justify="left")
    for name, rate in target.rates.items():
        result.add_row(name, f"{rate.peak:.3g}", f"{rate.share:.0%}", f"{rate.reached:.3g}", f"{rate.unit}, {rate.of}", rate.source)
    return result


def study_table(target: Machine, name: str, ranks: int, estimates: list[Estimate]) -> Table:
    """Return the stages of a study as a table."""
    result = Table(title=f"{name} on {ranks} GPUs: {target.name}", title_justify="left")
    for head in ("stage", "time", "memory per rank", "read", "written", "communicated", "limited by"):
        result.add_column(head, justify="left" if head in ("stage", "limited by") else "right")
    for one in estimates:
        result.add_row(
            one.stage,
            units.duration(one.seconds),
            units.size(one.memory) + ("" if one.memory <= target.memory else ": too much"),
            *(units.size(value) if value else "" for value in (one.read, one.written, one.communicated)),
            one.limit,
        )
    for what, seconds in (
        (f"all but the {GRID}", total(estimates)),
        ("all, and the concepts of every checkpoint's own", with_sedimentation(estimates)),
    ):
        verdict = f"{'within' if seconds <= NIGHT else 'more than'} a night of 12 hours"
        result.add_row(what, units.duration(seconds), "", "", "", "", verdict, style="bold")
    return result


def main() -> None:
    """Print the tables and write them as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--full", action="store_true", help="a larger case for the check, which takes minutes")
    parser.add_argument("--machine", type=Path, default=machine.PUBLISHED, metavar="FILE", help="rates, as in machine.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="RATE=VALUE", help="another rate, as it is reached")
    parser.add_argument("--gpus", type=int, nargs="+", default=GPUS)
    parser.add_argument("--no-check", action="store_true", help="the study alone, which takes no time")
    parser.add_argument("--json", type=Path, default=Path("runs/benchmarks/scale.json"), metavar="FILE")
    arguments = parser.parse_args()
    target, rates = machine.load(arguments.machine), {}
    for name, _, value in (one.partition("=") for one in arguments.set):
        if name not in target.rates:
            parser.error(f"--set {name}: rates are {', '.join(target.rates)}")
        rates[name] = float(value)
    target = target.reaching(rates)
    side_by_side.show(rates_table(target))
    found: dict[str, Any] = {"target": asdict(target), "study": [], "otherwise": [], "check": []}
    for name, images in IMAGES.items():
        for ranks in arguments.gpus:
            estimates = study(target, images, ranks)
            side_by_side.show(study_table(target, name, ranks, estimates))
            found["study"] += [{"images": images, "gpus": ranks, "seconds": one.seconds} | asdict(one) for one in estimates]
    otherwise = Table(
        "",
        *(f"{ranks} GPUs" for ranks in arguments.gpus),
        title=f"{next(iter(IMAGES))}, all but on request, if",
        title_justify="left",
    )
    for name, options in OTHERWISE.items():
        times = [total(study(target, next(iter(IMAGES.values())), ranks, **options)) for ranks in arguments.gpus]
        otherwise.add_row(name, *map(units.duration, times))
        found["otherwise"].append({"what": name, "seconds": dict(zip(arguments.gpus, times, strict=True))})
    side_by_side.show(otherwise)
    if not arguments.no_check:
        malloc.keep_freed()  # as our commands do
        rows = list(check.rows(check.CASES | (check.MORE if arguments.full else {})))
        side_by_side.show(check.table(rows))
        found["check"] = [asdict(row) for row in rows]
    side_by_side.save(arguments.json, found)
    print(f"{arguments.json}: the same as JSON")


if __name__ == "__main__":
    main()
