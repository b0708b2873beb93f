"""Figure of neural collapse: do the classes of the last tap become points of a simplex?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vinfo_mpi.figures import style
from vinfo_mpi.figures.figure import Figure
from vinfo_mpi.results.schema_collapse import (
    CDNV,
    COLLAPSE_CHECKPOINTS,
    NC1,
    NC2,
    NC3,
    NC4,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vinfo_mpi.results.dataset import Dataset
    from vinfo_mpi.results.tables import Results

# By panel, what is drawn: the spread of classes, on a scale of powers; and their arrangement.
PANELS = {
    "spread": {
        NC1: (style.DARK, "o-", "within / between (NC1)"),
        CDNV: (style.LIGHT, "s--", "variance / distance"),
    },
    "arrangement": {
        NC2: (style.DARK, "o-", "not a simplex (NC2)"),
        NC3: (style.LIGHT, "s--", "not the head's (NC3)"),
        NC4: (style.OTHERS[1], "^:", "not the nearest (NC4)"),
    },
}


def draw_collapse(results: Results, ax: Axes, panel: str = "spread") -> Axes:
    """Do the features of a class become one point, and the points of the classes a simplex?

    Over the checkpoints; panel: spread or arrangement. 0 is collapsed.
    """
    epochs = results.read(COLLAPSE_CHECKPOINTS)
    for dataset, (colour, line, label) in PANELS[panel].items():
        values, errors = results.read_with_error(dataset)
        style.curve(ax, epochs, values, errors, line, color=colour, label=label)
    ax.set(xlabel="epoch", ylabel=panel)
    if panel == "spread":
        ax.set_yscale("log")
    style.legend_above(ax, columns=1)
    return ax


def say_collapse(results: Results) -> str:
    """Return how the measures change over the checkpoints."""
    epochs = results.read(COLLAPSE_CHECKPOINTS)

    def change(dataset: Dataset) -> str:
        return style.change(*results.read_with_error(dataset))

    said = [
        f"From epoch {epochs[0]} to {epochs[-1]}, the variance within the classes relative to "
        f"that between them (first collapse) {change(NC1)}, and that relative to their distances "
        f"{change(CDNV)}. The deviation of the class means from a simplex (second) {change(NC2)}"
    ]
    if np.isfinite(results.read(NC3)).all():
        said.append(f"that of the head's weights from the class means (third) {change(NC3)}")
    if np.isfinite(results.read(NC4)).all():
        said.append(
            "the share of images that are predicted away from the nearest class mean (fourth) "
            f"{change(NC4)}"
        )
    return "; ".join(said) + ". All are 0 where the collapse is complete."


COLLAPSE_FIGURE = Figure(
    "collapse",
    "Neural collapse over the training",
    (
        COLLAPSE_CHECKPOINTS,
        *(each for panel in PANELS.values() for dataset in panel for each in (dataset, dataset.se)),
    ),
    draw_collapse,
    say_collapse,
    size=(style.TWO_COLUMNS, 2.4),
    panels=tuple({"panel": panel} for panel in PANELS),
)
