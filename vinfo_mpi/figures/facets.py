"""Figure of facets: which concepts have several, and whether these are more than classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vinfo_mpi.figures import style
from vinfo_mpi.figures.concepts import COMPLEXITY_LABEL
from vinfo_mpi.figures.figure import Figure
from vinfo_mpi.results.schema import ALIVE, CLASS, COMPLEXITY
from vinfo_mpi.results.schema_facets import FACET_CLASSES, FACET_SILHOUETTE, FACETS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from vinfo_mpi.results.tables import Results


def draw_facets(results: Results, ax: Axes) -> Axes:
    """How distinct are the groups into which each concept's strongest images fall, if they do?"""
    living = results.living
    several = (living[FACETS.column] > 1).to_numpy()
    looks = ((~several, style.FAINT, "one facet"), (several, style.DARK, "several"))
    for mask, colour, label in looks:
        of_mask = living[mask]
        x = of_mask[COMPLEXITY.column].to_numpy()
        y = of_mask[FACET_SILHOUETTE.column].to_numpy()
        style.points(ax, x, y, c=colour, label=f"{label}: {mask.sum()}")
    ax.set(xlabel=COMPLEXITY_LABEL, ylabel="silhouette")
    style.legend_above(ax)
    return ax


def say_facets(results: Results) -> str:
    """Return how many concepts have several facets, and how far these are classes."""
    living = results.living
    counts = living[FACETS.column]
    several = counts > 1
    said = f"The strongest images of {several.sum()} of {len(living)} living concepts fall into "
    said += f"several facets, at most {counts.max()}" if several.any() else "several facets"
    distinct = style.relation(
        results.correlation(COMPLEXITY, FACET_SILHOUETTE),
        "The more complex a concept, the more distinct its groups",
        "The simpler a concept, the more distinct its groups",
    )
    return f"{said}{_say_classes(living.loc[several, FACET_CLASSES.column])}. {distinct}"


def _say_classes(agreement: pd.Series) -> str:
    """Return how far facets are classes; "" where there are none, or no classes."""
    if agreement.isna().all():
        return ""
    low, high = agreement.quantile([0.25, 0.75])
    return (
        f". Their agreement with the classes of these images is {agreement.mean():.2f} on average "
        f"(adjusted Rand index, middle half {low:.2f} to {high:.2f}; 1: facets are classes, 0: as "
        "by chance)"
    )


FACETS_FIGURE = Figure(
    "facets",
    "Facets of the concepts",
    (ALIVE, COMPLEXITY, CLASS, FACETS, FACET_SILHOUETTE, FACET_CLASSES),
    draw_facets,
    say_facets,
    size=(style.ONE_COLUMN, 2.4),
)
