"""The activation hash phase chart of He et al. 2021: model size by training time, of many runs.

A network is under-expressive where images share activation codes, critically expressive where they
hardly do but codes tell classes less well than the trained network does, else sufficiently.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vinfo_mpi.errors import InputError
from vinfo_mpi.figures import style
from vinfo_mpi.figures.paper import USUAL
from vinfo_mpi.figures.patterns import PATTERNS_FIGURE
from vinfo_mpi.results.schema_patterns import (
    BITS,
    CODE_REDUNDANCY,
    LOGISTIC,
    NETWORK_ACCURACY,
    PATTERN_CHECKPOINTS,
    SPLIT_IMAGES,
)
from vinfo_mpi.storage.atomic import writing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vinfo_mpi.results.tables import Results

REDUNDANT = 0.01  # share of the images from which on codes do not tell them apart
NEARLY = 0.95  # of the trained network's accuracy, from which on codes tell classes as well
PHASES = {
    "under-expressive": "v",
    "critically expressive": "s",
    "sufficiently expressive": "o",
}
SHOWN = {"redundancy": "redundancy of the codes", "logistic": "accuracy from the codes"}


def table(runs: Mapping[str, Results]) -> pd.DataFrame:
    """Return a row for every checkpoint of every run, by the size of the networks.

    Columns: run, bits (of the whole code), epoch; redundancy (of the images of the first split),
    logistic (accuracy), their standard errors; network (accuracy at this checkpoint); phase.

    Raises
    ------
    InputError
        Where a run has no patterns, or those of another number of images: redundancy grows with it.
    """
    rows = []
    images = {}
    for name, results in runs.items():
        PATTERNS_FIGURE.check(results)
        images[name] = int(results.read(SPLIT_IMAGES)[0])
        redundancy, of_redundancy = results.read_with_error(CODE_REDUNDANCY)
        logistic, of_logistic = results.read_with_error(LOGISTIC)
        network = results.read(NETWORK_ACCURACY)
        rows.append(
            pd.DataFrame(
                {
                    "run": name,
                    "bits": int(results.read(BITS)[-1]),
                    "epoch": results.read(PATTERN_CHECKPOINTS),
                    "redundancy": redundancy[:, 0, -1],
                    "redundancy_se": of_redundancy[:, 0, -1],
                    "logistic": logistic[:, -1],
                    "logistic_se": of_logistic[:, -1],
                    "network": network,
                    "phase": _phases(redundancy[:, 0, -1], logistic[:, -1], network[-1]),
                }
            )
        )
    if len(set(images.values())) > 1:
        counts = ", ".join(f"{name}: {count}" for name, count in images.items())
        raise InputError(
            f"the codes are of different numbers of images ({counts}), and redundancy grows with "
            "these; run patterns with the same patterns.images"
        )
    return pd.concat(rows, ignore_index=True).sort_values(["bits", "run", "epoch"], kind="stable")


def draw(phases: pd.DataFrame, ax: Axes, colour: str = "redundancy") -> Axes:
    """Draw a mark per checkpoint, smaller networks lower, its form the phase.

    Parameters
    ----------
    phases : DataFrame
        Of `table`.
    ax : Axes
    colour : "redundancy" or "logistic"
    """
    runs = phases[["run", "bits"]].drop_duplicates()
    rows = phases["run"].map({name: row for row, name in enumerate(runs["run"])})
    for phase, shape in PHASES.items():
        some = phases["phase"] == phase
        marks = ax.scatter(
            phases["epoch"][some],
            rows[some],
            c=phases[colour][some],
            marker=shape,
            cmap=style.scale_of_marks(),
            vmin=0,
            vmax=1,
            label=phase,
        )
    ax.set_yticks(range(len(runs)), [f"{run}\n{bits:,} bits" for run, bits in runs.to_numpy()])
    ax.set(xlabel="epoch", ylim=(-0.5, len(runs) - 0.5))
    ax.figure.colorbar(marks, ax=ax, label=SHOWN[colour])
    return ax


def sentences(phases: pd.DataFrame) -> list[str]:
    """Return which phase each run is in, from which epoch on."""
    lines = []
    for (name, bits), of_run in phases.groupby(["run", "bits"], sort=False):
        begins = of_run[of_run["phase"] != of_run["phase"].shift()]
        path = ", then ".join(
            f"{row.phase} from epoch {row.epoch}" for row in begins.itertuples(index=False)
        )
        last = of_run.iloc[-1]
        lines.append(
            f"{name} ({bits:,} bits): {path}; in the end redundancy "
            f"{style.number(last['redundancy'], last['redundancy_se'])}, accuracy from the codes "
            f"{style.number(last['logistic'], last['logistic_se'])}, of the network "
            f"{last['network']:.2f}."
        )
    return lines


def write(phases: pd.DataFrame, folder: Path) -> list[Path]:
    """Write the table as phases.csv and the chart as phases.pdf; return both."""
    from matplotlib.figure import Figure
    from matplotlib.style import context

    paths = [folder / "phases.csv", folder / "phases.pdf"]
    with context(USUAL.look, after_reset=True):
        height = 1.2 + 0.4 * phases["run"].nunique()
        drawn = Figure(figsize=(style.TWO_COLUMNS, height), layout="constrained")
        axes = drawn.subplots(1, len(SHOWN), sharey=True)
        for ax, colour in zip(axes, SHOWN, strict=True):
            draw(phases, ax, colour)
        # Above one panel, it would take that one's width.
        shapes = axes[0].get_legend_handles_labels()
        drawn.legend(*shapes, loc="outside upper center", ncols=len(PHASES))
        style.letter(axes)
        with writing(paths[0]):
            folder.mkdir(parents=True, exist_ok=True)
            phases.to_csv(paths[0], index=False)
        with writing(paths[1]):
            drawn.savefig(paths[1], metadata={"CreationDate": None})
    return paths


def _phases(redundancy: np.ndarray, accuracy: np.ndarray, trained: float) -> np.ndarray:
    """Return the phase of every checkpoint; without a classifier, none is sufficient."""
    names = np.array([*PHASES], object)
    enough = accuracy >= NEARLY * trained
    return names[np.where(redundancy > REDUNDANT, 0, np.where(enough, 2, 1))]
