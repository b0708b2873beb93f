"""The stages of a whole run on one rank and on two, a thread each: time, efficiency, bytes sent.

Both runs begin with the same checkpoints; times and bytes are those of their timings.json. What
belongs to no stage is shown beside them: starting Python, imports, looking at data and network for
the plan. The limit is the rate of matrix products on one thread, in float32 for the network.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from benchmarks import limits, side_by_side
from vinfo_mpi.config.load import load_config
from vinfo_mpi.costs.sizes import Sizes
from vinfo_mpi.costs.workload import TYPICAL, Costs, Workload
from vinfo_mpi.pipeline.plan import costs_of_stages
from vinfo_mpi.storage.hdf5 import read_table

PLACE = Path("runs/benchmarks")
PYTHON: tuple[str, ...] = (sys.executable,)  # how the command of a module begins
RANKS = (1, 2)
START = "start, plan"
SMALL = (
    "data.per_class=60",
    "train.epochs=3",
    "extract.maps=final",
    "dictionary.concepts_per_class=10",
    "pages=[]",
)


@dataclass(frozen=True)
class Stage:
    """What a stage took.

    Attributes
    ----------
    name : str
    seconds : dict of int to float
        By number of ranks: of the rank that took longest.
    communicated, formula : dict of int to float
        By number of ranks: bytes that all ranks together put into sums and broadcasts, and what the
        formula says.
    operations : float
        That the plan counts, in products of matrices or in the network.
    """

    name: str
    seconds: dict[int, float]
    communicated: dict[int, float]
    formula: dict[int, float]
    operations: float = 0.0

    def efficiency(self, ranks: int) -> float:
        """Return the time on one rank over that of all ranks together."""
        return self.seconds[1] / self.seconds[ranks] / ranks


def measure(settings: Sequence[str], folder: Path) -> list[Stage]:
    """Run the pipeline on one rank and on two, from the same checkpoints.

    Return what belongs to no stage, and all stages but the training.
    """
    arguments = [argument for setting in settings for argument in ("--set", setting)]
    _run(RANKS[-1], "vinfo_mpi.train", *arguments, "--run-dir", folder / "trained")
    start = Stage(START, {}, dict.fromkeys(RANKS, 0), {})
    stages: dict[str, Stage] = {}
    for ranks in RANKS:
        here = folder / f"ranks_{ranks}"
        shutil.copytree(folder / "trained" / "checkpoints", here / "checkpoints")
        seconds, _ = limits.timed(partial(_run, ranks, "vinfo_mpi", *arguments, "--run-dir", here))
        costs = _costs(here, ranks)
        timings = json.loads((here / "timings.json").read_text())
        for name, timing in timings.items():
            stage = stages.setdefault(name, Stage(name, {}, {}, {}, costs[name].operations))
            stage.seconds[ranks] = timing["seconds"]["total"]["max"]
            stage.communicated[ranks] = timing["bytes"]["communicated"]
            stage.formula[ranks] = costs[name].sent
        start.seconds[ranks] = seconds - sum(stages[name].seconds[ranks] for name in timings)
    return [start, *stages.values()]


def _costs(folder: Path, ranks: int) -> dict[str, Costs]:
    """Return what the stages of a finished run take by the formulas.

    The iterations of its fit are known; those of the codes are the plan's guess.
    """
    sizes = Sizes(**json.loads((folder / "plan.json").read_text())["sizes"])
    config = load_config(folder / "config.yaml")
    fit = len(read_table(folder / "dictionary.h5", "vinfo-dictionary", "objective"))
    iterations = TYPICAL | {"dictionary": float(fit)}
    costs = costs_of_stages(config.stages, Workload(sizes, config, ranks, iterations=iterations))
    return {stage: cost for stage, cost in costs.items() if cost is not None}


def _run(ranks: int, module: str, *arguments: Any) -> None:
    command = ["mpirun", "-n", str(ranks), *PYTHON, "-m", module, *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")


def table(stages: Sequence[Stage]) -> Table:
    """Return the stages as a table for people, with their sums."""
    result = Table(title=(__doc__ or "").split("\n")[0], title_justify="left")
    times = ("1 rank", "share", "of the limit", "2 ranks", "share", "efficiency")
    for head in ("stage", *times, "sent by 2 ranks", "formula"):
        result.add_column(head, justify="left" if head == "stage" else "right")
    whole = {ranks: sum(stage.seconds[ranks] for stage in stages) for ranks in RANKS}
    sent = sum(stage.communicated[2] for stage in stages)
    for stage in [*stages, Stage("all", whole, {2: sent}, {})]:
        seconds = [f"{stage.seconds[ranks]:.2f} s" for ranks in RANKS]
        shares = [f"{stage.seconds[ranks] / whole[ranks]:.0%}" for ranks in RANKS]
        formula = f"{stage.formula[2]:,.0f} B" if 2 in stage.formula else ""
        rate = limits.matrix_rate(torch.float32 if stage.name == "extract" else torch.float64)
        of_limit = f"{stage.operations / stage.seconds[1] / rate:.0%}" if stage.operations else ""
        result.add_row(
            stage.name,
            seconds[0],
            shares[0],
            of_limit,
            seconds[1],
            shares[1],
            f"{stage.efficiency(2):.2f}",
            f"{stage.communicated[2]:,.0f} B",
            formula,
        )
    return result


def main() -> None:
    """Measure the small run, or the quickstart; print the table, write the JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pipeline", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--full", action="store_true", help="the quickstart as it is, pictures and report included"
    )
    parser.add_argument("--json", type=Path, default=PLACE / "pipeline.json", metavar="FILE")
    arguments = parser.parse_args()
    PLACE.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # the limit is that of one rank
    with tempfile.TemporaryDirectory(dir=PLACE) as folder:
        stages = measure(() if arguments.full else SMALL, Path(folder))
    side_by_side.show(table(stages))
    side_by_side.save(arguments.json, {"stages": [asdict(stage) for stage in stages]})
    print(f"{arguments.json}: the same as JSON")


if __name__ == "__main__":
    main()
