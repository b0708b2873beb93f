"""Figure of sparsity: how many hidden units are active in each layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vinfo_mpi.figures import style
from vinfo_mpi.figures.figure import Figure
from vinfo_mpi.results.schema_sparsity import (
    DEAD,
    EFFECTIVE,
    LAYERS,
    POSITIVE,
    SPARSITY_CHECKPOINTS,
    UNITS,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vinfo_mpi.results.tables import Results

LABELS = {
    POSITIVE.column: (POSITIVE, "share above zero"),
    EFFECTIVE.column: (EFFECTIVE, "units that hold 99 % of the energy"),
}


def draw_lazy(results: Results, ax: Axes, quantity: str = "positive") -> Axes:
    """Are few hidden units active at a time, and do they become fewer?

    Layer by layer, at the first and the last checkpoint; quantity: positive or effective.
    """
    dataset, label = LABELS[quantity]
    epochs = results.read(SPARSITY_CHECKPOINTS)
    layers = results.names(LAYERS)
    style.ends_over_layers(ax, layers, epochs, *results.read_with_error(dataset))
    ax.set_ylabel(label)
    return ax


def say_lazy(results: Results) -> str:
    """Return how many units are active at either end, in which layer fewest, and how many never."""
    epochs = results.read(SPARSITY_CHECKPOINTS)
    positive, errors = results.read_with_error(POSITIVE)
    units = results.read(UNITS)
    fewest = int(positive[-1].argmin())
    dead = results.read(DEAD)[-1] @ units / units.sum()
    return (
        f"Of the values of hidden units, {positive[0].mean():.2f} are above zero at epoch "
        f"{epochs[0]} and {positive[-1].mean():.2f} at epoch {epochs[-1]}, mean over "
        f"{len(units)} layers; fewest in {results.names(LAYERS)[fewest]}, "
        f"{style.number(positive[-1, fewest], errors[-1, fewest])}. In the end, 99 % of the energy "
        f"of a position lies in {results.read(EFFECTIVE)[-1].mean():.2f} of the units, and "
        f"{100 * dead:.1f} % of {units.sum()} units are never above zero."
    )


LAZY_FIGURE = Figure(
    "lazy",
    "How many hidden units are active",
    (
        *(SPARSITY_CHECKPOINTS, LAYERS, UNITS, DEAD),
        *(POSITIVE, POSITIVE.se, EFFECTIVE, EFFECTIVE.se),
    ),
    draw_lazy,
    say_lazy,
    size=(style.TWO_COLUMNS, 2.6),
    panels=tuple({"quantity": quantity} for quantity in LABELS),
)
