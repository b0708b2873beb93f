"""The end of a run in the terminal and in the log: what was found, what it took, and where it lies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from vinfo_mpi import units
from vinfo_mpi.results.facts import facts
from vinfo_mpi.results.tables import Results
from vinfo_mpi.run.provenance import timings_of
from vinfo_mpi.run.run import Run

SHOWN = 3  # concepts at either end


def summary(folder: Path) -> str:
    """Return the summary of a finished run."""
    results = Results(folder)
    about, living = facts(results), results.concepts[results.concepts["alive"]]
    lines = [
        "",
        f"network      {about.network} on {about.data}: {about.correct}",
        f"concepts     {about.alive} of {about.concepts} alive",
        f"fidelity     {about.rebuilt}",
    ]
    quantiles = ((q, living["complexity"].quantile(q / 100)) for q in (0, 10, 25, 50, 75, 90, 100))
    lines.append("complexity   " + "  ".join(f"{q} %: {value:.2f}" for q, value in quantiles))
    lines.append("V-information, mean over the concepts, per tap")
    for tap, value in results.vinformation[living.index].mean(axis=1).items():
        lines.append(f"  {tap!s:<24} {value:.3f} " + "█" * round(30 * value))
    others = {"temporal": "temporal score", "importance": "importance"}
    for column, label in others.items():
        if column in living:
            found = results.correlation("complexity", column)
            lines.append(f"Spearman(complexity, {label}) = {found.value:+.2f} ± {found.standard_error:.2f}")
    lines += _extremes("simplest", living.nsmallest(SHOWN, "complexity"))
    lines += _extremes("most complex", living.nlargest(SHOWN, "complexity"))
    lines += [
        f"results      {results.path}   (python -m vinfo_mpi.inspect {results.path})",
        *([f"report       {folder / 'report' / 'index.html'}"] if (folder / "report").exists() else []),
        f"logs         {folder / 'logs'}, times {folder / 'timings.json'}",
    ]
    return "\n".join(lines)


def tail(run: Run) -> str:
    """Return what a log ends with: what every stage took, so far, and what to run next."""
    timings = timings_of(run.folder)
    lines = [f"{'stage':<12}{'time':>10}{'read':>12}{'written':>12}{'exchanged':>12}{'peak memory':>13}"] if timings else []
    for stage, one in timings.items():
        moved = (units.size(one["bytes"][name]) for name in ("read", "written", "communicated"))
        columns = "".join(f"{text:>12}" for text in moved)
        lines.append(
            f"{stage:<12}{units.duration(one['seconds']['total']['max']):>10}{columns}{units.size(one['peak_memory']):>13}"
        )
    if run.results.exists():
        lines += [
            f"look at it   python -m vinfo_mpi.inspect {run.results}",
            f'in Python    from vinfo_mpi import Results; Results("{run.folder}").concepts',
        ]
    return "\n".join(lines)


def _extremes(title: str, rows: pd.DataFrame) -> list[str]:
    shown = []
    for index, row in rows.iterrows():
        fitted_to = f"class {row['class']:.0f}, " if row["class"] >= 0 else ""
        score = f"K {row['complexity']:.2f} ± {np.nan_to_num(row['complexity_se']):.2f}"
        shown.append(f"{row.get('name', f'#{index}')} ({fitted_to}{score})")
    return [f"{title:<12} " + ", ".join(shown)]
