"""Figure of monosemanticity: are the images of complex concepts less alike?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vinfo_mpi.figures import style
from vinfo_mpi.figures.figure import Figure
from vinfo_mpi.results.schema import ALIVE, CLASS, COMPLEXITY, CONFOUNDS
from vinfo_mpi.results.schema_monosemanticity import ALL_PAIRS, CLARITY, MONOSEMANTICITY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vinfo_mpi.results.tables import Results


def draw_monosemanticity(results: Results, ax: Axes) -> Axes:
    """Are the images that a complex concept is active in less alike than those of a simple one?"""
    living = results.living
    values = living[[COMPLEXITY.column, MONOSEMANTICITY.column]].to_numpy()
    style.points(ax, *values.T)
    of_all = float(results.read(ALL_PAIRS))
    ax.axhline(of_all, color=style.LIGHT, linestyle="--", label="all pairs of images")
    ax.set(xlabel="complexity K", ylabel="monosemanticity")
    style.legend_above(ax)
    return ax


def say_monosemanticity(results: Results) -> str:
    """Return how alike the images of concepts are, and how that goes with complexity."""
    scores = results.living[MONOSEMANTICITY.column]
    mean = results.mean(MONOSEMANTICITY)
    clarity = results.mean(CLARITY)
    of_all = float(results.read(ALL_PAIRS))
    plain = style.correlation_text(results.correlation(COMPLEXITY, MONOSEMANTICITY))
    given = results.correlation(COMPLEXITY, MONOSEMANTICITY, list(CONFOUNDS))
    return (
        f"Mean cosine of the embeddings of two images, weighted by their codes: "
        f"{style.number(mean.value, mean.standard_error)} over the concepts "
        f"({style.errors_over(mean)}), {of_all:.2f} for all pairs of images; "
        f"the highest {scores.max():.2f} for concept {scores.idxmax()}. Of the images in which a "
        f"concept is strongest (clarity): {style.number(clarity.value, clarity.standard_error)}. "
        f"With complexity: {plain}; given variance, readability, rarity and class "
        f"{style.number(given.value, given.standard_error)}."
    )


MONOSEMANTICITY_FIGURE = Figure(
    "monosemanticity",
    "Are the images of a concept alike?",
    (ALIVE, CLASS, COMPLEXITY, *CONFOUNDS, MONOSEMANTICITY, CLARITY, ALL_PAIRS),
    draw_monosemanticity,
    say_monosemanticity,
    size=(style.ONE_COLUMN, 2.4),
)
