"""Figure of the run's concepts beside the features of an autoencoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vinfo_mpi.figures import style
from vinfo_mpi.figures.concepts import BINS, COMPLEXITY_LABEL, IMPORTANCE_LABEL
from vinfo_mpi.figures.figure import Figure
from vinfo_mpi.figures.parts import COLOURS
from vinfo_mpi.results.schema import ALIVE, CLASS, COMPLEXITY, IMPORTANCE, PARTS
from vinfo_mpi.results.schema_autoencoder import (
    DICTIONARIES,
    FIDELITY,
    LIVING,
    OF_FEATURES,
    SIMILARITY_OF_FEATURES,
    TRAININGS,
)
from vinfo_mpi.results.side_by_side import CONCEPTS, SIMILAR, SUM, side_by_side

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from vinfo_mpi.results.dataset import Dataset
    from vinfo_mpi.results.tables import Results

LOOKS = ((style.DARK, "o", "-"), (style.LIGHT, "^", "--"))


def draw_autoencoder(results: Results, ax: Axes, panel: str = "complexity") -> Axes:
    """Are the features of an autoencoder as complex, and as important, as the run's concepts?

    panel: complexity, the share of both below each value; parts, means of its parts; importance.
    """
    if panel == "parts":
        return _draw_parts(results, ax)
    complexities = _both(results, COMPLEXITY)
    names = results.names(DICTIONARIES)
    importances = _both(results, IMPORTANCE) if panel == "importance" else complexities
    every = zip(names, LOOKS, complexities, importances, strict=True)
    for name, (colour, mark, line), complexity, importance in every:
        if panel == "importance":
            style.points(ax, complexity, importance, c=colour, marker=mark, label=name)
        else:
            ax.ecdf(complexity, color=colour, linestyle=line, label=name)
    label = IMPORTANCE_LABEL if panel == "importance" else "share of the concepts"
    ax.set(xlabel=COMPLEXITY_LABEL, ylabel=label, xlim=(BINS[0], BINS[-1]))
    style.legend_above(ax)
    return ax


def _draw_parts(results: Results, ax: Axes) -> Axes:
    names = results.names(DICTIONARIES)
    below = np.zeros(len(names))
    for dataset, colour in zip(PARTS, COLOURS, strict=True):
        means = np.array([np.nanmean(values) for values in _both(results, dataset)])
        ax.bar(names, means, bottom=below, color=colour, width=0.6, label=dataset.column)
        below += means
    ax.set(ylabel=f"mean {COMPLEXITY_LABEL}", ylim=(0, 1))
    style.legend_above(ax, columns=len(PARTS))
    return ax


def _both(results: Results, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of the run's living concepts, and of the features; NaN: not known."""
    nothing = np.full(len(results.living), np.nan)
    own = results.living.get(dataset.column, nothing)
    return np.asarray(own), results.read(OF_FEATURES[dataset])


def say_autoencoder(results: Results) -> str:
    """Return how both dictionaries compare, in numbers."""
    table = side_by_side(results)
    source, name = results.names(DICTIONARIES)
    count = table.loc[CONCEPTS]
    said = [
        f"{count[source]:.0f} living concepts of {source} and {count[name]:.0f} features of the "
        f"{name} that fire"
    ]
    said += [_said(table.loc[row], row, source, name) for row in table.index if row != CONCEPTS]
    compared = "; ".join(filter(None, said))
    return (
        f"{compared}. ± is over classes where concepts have them, else over concepts: another "
        "training is not in it."
    )


def _said(row: pd.Series, measure: str, source: str, name: str) -> str:
    """Return a row of the table in words; "" where a number is not known."""
    if not np.isfinite(row[[source, name]]).all():
        if measure == SIMILAR and np.isfinite(row[name]):
            return f"{measure} {row[name]:.2f} of the {name}"
        return ""
    digits = 3 if measure not in (SUM, SIMILAR) else 2
    numbers = [
        style.number(row[each], row[f"{each} ±"])
        if np.isfinite(row[f"{each} ±"])
        else f"{row[each]:.{digits}f}"
        for each in (source, name)
    ]
    said = f"{measure} {numbers[0]} and {numbers[1]}"
    if np.isfinite(row["difference ±"]):
        said += f" (difference {style.number(row['difference'], row['difference ±'])})"
    return said


AUTOENCODER_FIGURE = Figure(
    "autoencoder",
    "Concepts beside the features of an autoencoder",
    (
        *(ALIVE, COMPLEXITY, CLASS, *PARTS),
        *(DICTIONARIES, LIVING, TRAININGS, SIMILARITY_OF_FEATURES, *FIDELITY),
        *OF_FEATURES.values(),
    ),
    draw_autoencoder,
    say_autoencoder,
    size=(style.TWO_COLUMNS, 2.4),
    panels=({"panel": "complexity"}, {"panel": "parts"}, {"panel": "importance"}),
)
