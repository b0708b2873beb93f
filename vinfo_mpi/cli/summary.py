"""The end of a run in the terminal and in the log: what was found, what it took, where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vinfo_mpi import units
from vinfo_mpi.results.facts import facts
from vinfo_mpi.results.reliability import warnings_about
from vinfo_mpi.results.schema import CLASS, COMPLEXITY, IMPORTANCE, NAME, PARTS, TEMPORAL
from vinfo_mpi.results.tables import Results
from vinfo_mpi.run.provenance import timings_of
from vinfo_mpi.run.run import Run

TOP = 3  # concepts at either end
QUANTILES = (0, 10, 25, 50, 75, 90, 100)  # percent
BESIDE_COMPLEXITY = {TEMPORAL: "temporal score", IMPORTANCE: "importance"}


def summary(folder: Path) -> str:
    """Return the summary of a finished run."""
    results = Results(folder)
    about = facts(results)
    lines = [
        "",
        f"network      {about.network} on {about.data}: {about.correct}",
        f"concepts     {about.alive} of {about.concepts} alive",
        f"fidelity     {about.rebuilt}",
    ]
    if about.alive:
        lines += _of_living(results)
    else:
        lines.append(
            "complexity   no concept varies over the images: is the last tap dead, or are they too "
            "few?"
        )
    lines += [f"note         {sentence}" for sentence in warnings_about(about)]
    lines.append(f"results      {results.path}   (python -m vinfo_mpi.inspect {results.path})")
    if (folder / "report").exists():
        lines.append(f"report       {folder / 'report' / 'index.html'}")
    lines.append(f"logs         {folder / 'logs'}, times {folder / 'timings.json'}")
    return "\n".join(lines)


def _of_living(results: Results) -> list[str]:
    """Return the lines on complexity and what goes with it, of the concepts that vary."""
    living = results.living
    complexity = living[COMPLEXITY.column]
    quantiles = [f"{percent} %: {complexity.quantile(percent / 100):.2f}" for percent in QUANTILES]
    whole = results.mean(COMPLEXITY)
    means = [(dataset.column, results.mean(dataset)) for dataset in PARTS]
    parts = [f"{mean.value:.2f} ± {mean.standard_error:.2f} {name}" for name, mean in means]
    lines = [
        f"complexity   {'  '.join(quantiles)}",
        f"its parts    {', '.join(parts)} (means, ± over {whole.over})",
        "V-information, mean over the concepts, per tap",
    ]
    for tap, mean in results.vinformation[living.index].mean(axis=1).items():
        lines.append(f"  {tap!s:<24} {mean:.3f} " + "█" * round(30 * np.nan_to_num(mean)))
    for dataset, label in BESIDE_COMPLEXITY.items():
        if dataset in results:
            correlation = results.correlation(COMPLEXITY, dataset)
            value = f"{correlation.value:+.2f} ± {correlation.standard_error:.2f}"
            lines.append(f"Spearman(complexity, {label}) = {value} (over {correlation.over})")
    lines.append(_extremes("simplest", living.nsmallest(TOP, COMPLEXITY.column)))
    lines.append(_extremes("most complex", living.nlargest(TOP, COMPLEXITY.column)))
    return lines


def tail(run: Run) -> str:
    """Return what a log ends with: what every stage took, so far, and what to run next."""
    timings = timings_of(run.folder)
    lines = []
    if timings:
        heads = f"{'read':>12}{'written':>12}{'exchanged':>12}{'peak memory':>13}"
        lines.append(f"{'stage':<12}{'time':>10}{heads}")
        lines += [_stage(stage, of_stage) for stage, of_stage in timings.items()]
    if run.results.exists():
        lines += [
            f"look at it   python -m vinfo_mpi.inspect {run.results}",
            f'in Python    from vinfo_mpi import Results; Results("{run.folder}").concepts',
        ]
    return "\n".join(lines)


def _stage(stage: str, timings: dict[str, Any]) -> str:
    """Return the line of a stage: its time, bytes and memory."""
    time = units.duration(timings["seconds"]["total"]["max"])
    moved = [units.size(timings["bytes"][way]) for way in ("read", "written", "communicated")]
    columns = "".join(f"{size:>12}" for size in moved)
    return f"{stage:<12}{time:>10}{columns}{units.size(timings['peak_memory']):>13}"


def _extremes(title: str, concepts: pd.DataFrame) -> str:
    """Return the line of the concepts at either end."""
    described = []
    for number, concept in concepts.iterrows():
        name = concept.get(NAME.column, f"#{number}")
        fitted_to = f"class {concept[CLASS.column]:.0f}, " if concept[CLASS.column] >= 0 else ""
        error = np.nan_to_num(concept[COMPLEXITY.se.column])
        described.append(f"{name} ({fitted_to}K {concept[COMPLEXITY.column]:.2f} ± {error:.2f})")
    return f"{title:<12} " + ", ".join(described)
