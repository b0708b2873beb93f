"""Figure of pointwise V-information: for how many images the last tap misleads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vinfo_mpi.figures import style
from vinfo_mpi.figures.figure import Figure
from vinfo_mpi.results.schema import LAST_TAP
from vinfo_mpi.results.schema_pointwise import MISLED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vinfo_mpi.results.tables import Results


def draw_pointwise(results: Results, ax: Axes) -> Axes:
    """Of how many images does the last tap tell less than the mean code of the concept does?"""
    living = results.living
    style.points(ax, living[LAST_TAP.column].to_numpy(), living[MISLED.column].to_numpy())
    ax.set(xlabel="V-information of the last tap", ylabel="share of images misled", ylim=(0, None))
    return ax


def say_pointwise(results: Results) -> str:
    """Return for how many images the last tap misleads, and how that goes with V-information."""
    misled = results.living[MISLED.column]
    worst = misled.idxmax()
    correlation = results.correlation(LAST_TAP, MISLED)
    return (
        f"Of {misled.mean():.2f} of the images, mean over the concepts, the last tap tells less "
        f"than the mean code does; of {misled.max():.2f} for concept {worst}. "
        f"{style.correlation_text(correlation)} with its V-information. The images told least of "
        "stand on the page of each concept."
    )


POINTWISE_FIGURE = Figure(
    "pointwise",
    "Pointwise V-information",
    (LAST_TAP, MISLED),
    draw_pointwise,
    say_pointwise,
    size=(style.ONE_COLUMN, 2.4),
)
