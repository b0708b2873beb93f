"""Figure of all that is measured of concepts, every measure beside every other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vinfo_mpi.figures import style
from vinfo_mpi.figures.figure import Figure
from vinfo_mpi.results.measures import OF_VINFORMATION, between_concepts
from vinfo_mpi.results.schema import ALIVE, CLASS, COMPLEXITY, CONFOUNDS, PARTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vinfo_mpi.results.tables import Results

SCALE = "PuOr"  # from one sign to the other, told apart by the colour-blind
CLEAR = 2  # standard errors from 0
DARK_CELL = 0.6  # correlation beyond which white is read better than black


def draw_measures(results: Results, ax: Axes) -> Axes:
    """Which measures say the same of a concept?

    Spearman's correlation of every two, below the diagonal; on a wide figure in numbers too, in
    grey where it is less than two standard errors from 0.
    """
    names, matrix = between_concepts(results)
    below = np.tril(np.ones_like(matrix.values, bool), -1)
    image = ax.imshow(
        np.where(below, matrix.values, np.nan),
        aspect="auto",
        vmin=-1,
        vmax=1,
        cmap=SCALE,
        interpolation="nearest",
    )
    numbers = range(1, len(names) + 1)
    labels = [f"{name}  {number}" for number, name in zip(numbers, names, strict=True)]
    ax.set_yticks(range(1, len(names)), labels[1:])
    ax.set_xticks(range(len(names) - 1), [f"{number}" for number in numbers][:-1])
    ax.set(ylim=(len(names) - 0.5, 0.5), xlim=(-0.5, len(names) - 1.5), xlabel=f"1: {names[0]}")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    figure = ax.get_figure(root=True)
    if figure is not None and figure.get_figwidth() > style.NARROW:
        for row, column in zip(*np.nonzero(below), strict=True):
            _write(ax, row, column, matrix.values[row, column], matrix.standard_errors[row, column])
    ax.figure.colorbar(image, ax=ax, label="Spearman's correlation")
    return ax


def say_measures(results: Results) -> str:
    """Return how many pairs go together clearly, and which agree and disagree the most."""
    names, matrix = between_concepts(results)
    pairs = [
        (matrix.values[row, column], matrix.standard_errors[row, column], names[column], names[row])
        for row, column in zip(*np.tril_indices(len(names), -1), strict=True)
        if np.isfinite(matrix.values[row, column])
        and not {names[row], names[column]} <= OF_VINFORMATION
    ]
    clear = [pair for pair in pairs if abs(pair[0]) > CLEAR * np.nan_to_num(pair[1])]
    ends = [
        f"{first} and {second}, {style.number(value, error)}"
        for value, error, first, second in (min(pairs), max(pairs))
    ]
    return (
        f"Of {len(pairs)} pairs of measures, not counting those of two that follow from "
        f"V-information, {len(clear)} correlate by more than two standard errors, over {matrix.n} "
        f"concepts. The lowest: {ends[0]}; the highest: {ends[1]}. What two measures owe to a "
        "third, such as the variance, is in these numbers."
    )


def _write(ax: Axes, row: int, column: int, value: float, error: float) -> None:
    """Write a correlation into its cell."""
    if not np.isfinite(value):
        return
    clear = abs(value) > CLEAR * np.nan_to_num(error)
    colour = "black" if clear else "0.35"
    if abs(value) > DARK_CELL:
        colour = "white"
    text = f"{value:.2f}".replace("0.", ".").replace("-", "\N{MINUS SIGN}")
    ax.text(column, row, text, ha="center", va="center", color=colour, fontsize="x-small")


MEASURES_FIGURE = Figure(
    "measures",
    "All measures of concepts, compared",
    (ALIVE, CLASS, COMPLEXITY, *PARTS, *CONFOUNDS),
    draw_measures,
    say_measures,
    size=(style.TWO_COLUMNS, 3.4),
)
