"""The map: every concept where its atom lies, atoms of similar directions close together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vinfo_mpi.figures import style
from vinfo_mpi.figures.concepts import COMPLEXITY_LABEL, IMPORTANCE_LABEL
from vinfo_mpi.numerics.correlation import spearman
from vinfo_mpi.results.schema import CLASS, COMPLEXITY, IMPORTANCE
from vinfo_mpi.results.schema_metafeatures import LEAVES, MAP_X, MAP_Y

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from vinfo_mpi.results.tables import Results

LABELS = {COMPLEXITY.column: COMPLEXITY_LABEL, IMPORTANCE.column: IMPORTANCE_LABEL}
NAME_LENGTH = 12  # characters of a class's name that a legend shows


def draw_map(results: Results, ax: Axes, colour: str = COMPLEXITY.column) -> Axes:
    """Which concepts are alike?

    Their atoms on a plane; colour: complexity, importance or class.
    """
    table = _mapped(results)
    if colour == CLASS.column:
        _colour_by_class(results, ax, table)
    else:
        values = table[colour].to_numpy()
        marks = style.points(ax, *_places(table), c=values, cmap=style.scale_of_marks(), alpha=0.9)
        ax.figure.colorbar(marks, ax=ax, label=LABELS[colour], pad=0.02)
    # Square, with distances as they are.
    ax.set(xticks=[], yticks=[], aspect="equal", adjustable="datalim", box_aspect=1)
    ax.spines[:].set_visible(True)
    return ax


def say_map(results: Results) -> str:
    """Return whether neighbours on the map are alike in complexity and of one class."""
    from scipy.spatial import cKDTree

    table = _mapped(results)
    places = _places(table).T
    nearest = cKDTree(places).query(places, k=2)[1][:, 1]
    complexity = table[COMPLEXITY.column].to_numpy()
    group = table[CLASS.column].to_numpy()
    correlation = style.correlation_text(spearman(complexity, complexity[nearest], cluster=group))
    said = (
        "Atoms of similar directions lie close together. "
        f"Complexity of a concept and of its nearest on the map: {correlation}."
    )
    shares = np.unique(group, return_counts=True)[1] / len(group)
    if len(shares) < 2:
        return said
    same = (group == group[nearest]).mean()
    measured = style.number(same, np.sqrt(same * (1 - same) / len(group)))
    by_chance = np.square(shares).sum()
    return (
        f"{said} The share of nearest ones that belong to the same class is {measured}, "
        f"and by chance {by_chance:.2g}."
    )


def _mapped(results: Results) -> pd.DataFrame:
    """Return the living concepts that have a place on the map."""
    return results.living[results.living[MAP_X.column].notna()]


def _places(table: pd.DataFrame) -> np.ndarray:
    """Return where the atoms lie on the map: (2, K)."""
    return table[[MAP_X.column, MAP_Y.column]].to_numpy().T


def _colour_by_class(results: Results, ax: Axes, table: pd.DataFrame) -> None:
    """Give every class a colour and a shape.

    Where there are too many, a colour by its place in the tree of the classes.
    """
    numbers = table[CLASS.column]
    groups = np.unique(numbers)
    if len(groups) > len(style.CLASSES):
        place_in_tree = np.argsort(results.read(LEAVES))
        colours = place_in_tree[numbers]
        marks = style.points(ax, *_places(table), c=colours, cmap=style.scale_of_marks(), alpha=0.9)
        ax.figure.colorbar(marks, ax=ax, label="class, by place in the tree", pad=0.02)
        return
    for group, colour, shape in zip(groups, style.CLASSES, style.SHAPES, strict=False):
        places = _places(table[numbers == group])
        name = _legend(results.classes[group]) if group >= 0 else "all"
        style.points(ax, *places, c=colour, marker=shape, alpha=0.9, s=8, label=name)
    style.legend_beside(ax, "class")


def _legend(name: str) -> str:
    """Return the name of a class, short, and not taken for a formula."""
    return name[:NAME_LENGTH].replace("$", r"\$")
