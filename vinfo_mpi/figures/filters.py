"""Figure of the quality of filters: how varied and how orthogonal they are in every layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vinfo_mpi.figures import style
from vinfo_mpi.figures.figure import Figure
from vinfo_mpi.results.schema_filters import (
    DEGENERATE,
    FILTER_CHECKPOINTS,
    FILTER_LAYERS,
    IDLE,
    KERNELS,
    ORTHOGONALITY,
    VARIANCE_ENTROPY,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vinfo_mpi.results.tables import Results

LABELS = {
    VARIANCE_ENTROPY.column: (VARIANCE_ENTROPY, "variety of the kernels, 1 = random"),
    ORTHOGONALITY.column: (ORTHOGONALITY, "orthogonality of the filters"),
}


def draw_filters(results: Results, ax: Axes, quantity: str = "entropy") -> Axes:
    """How varied, and how orthogonal, are the filters of each convolution?

    At the first and the last checkpoint; quantity: entropy or orthogonality.
    """
    dataset, label = LABELS[quantity]
    epochs = results.read(FILTER_CHECKPOINTS)
    layers = results.names(FILTER_LAYERS)
    style.ends_over_layers(ax, layers, epochs, results.read(dataset))
    ax.set_ylabel(label)
    return ax


def say_filters(results: Results) -> str:
    """Return how varied filters are at either end, how many idle, and which layers degenerate."""
    epochs = results.read(FILTER_CHECKPOINTS)
    layers = results.names(FILTER_LAYERS)
    entropy = results.read(VARIANCE_ENTROPY)
    least = int(entropy[-1].argmin())
    kernels = results.read(KERNELS)
    idle = 100 * float(results.read(IDLE)[-1] @ kernels / kernels.sum())
    degenerate = np.flatnonzero(results.read(DEGENERATE)[-1])
    named = f": {', '.join(layers[row] for row in degenerate)}" if len(degenerate) else ""
    return (
        f"Kernels are {entropy[0].mean():.2f} as varied as random ones at epoch {epochs[0]} and "
        f"{entropy[-1].mean():.2f} at epoch {epochs[-1]}, mean over {len(layers)} convolutions; "
        f"least in {layers[least]}, {entropy[-1, least]:.2f}. Filters are orthogonal to "
        f"{np.nanmean(results.read(ORTHOGONALITY)[-1]):.2f}, and {idle:.1f} % of {kernels.sum()} "
        f"kernels are idle. Of the convolutions {len(degenerate)} are degenerate (most kernels "
        f"idle, nearly all alike, or no more ordered than random ones){named}."
    )


FILTERS_FIGURE = Figure(
    "filters",
    "Quality of the filters",
    (
        *(FILTER_CHECKPOINTS, FILTER_LAYERS, KERNELS),
        *(IDLE, VARIANCE_ENTROPY, ORTHOGONALITY, DEGENERATE),
    ),
    draw_filters,
    say_filters,
    size=(style.TWO_COLUMNS, 2.6),
    panels=tuple({"quantity": quantity} for quantity in LABELS),
)
