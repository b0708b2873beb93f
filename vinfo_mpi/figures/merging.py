"""Figure of merging: channels left in each layer, and what that costs in accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vinfo_mpi.figures import style
from vinfo_mpi.figures.figure import Figure
from vinfo_mpi.numerics import correlation
from vinfo_mpi.results.schema_merging import (
    ACCURACY,
    ACCURACY_BEFORE,
    CHANNELS,
    MERGING_CHECKPOINTS,
    MERGING_LAYERS,
    PARAMETERS,
    PARAMETERS_BEFORE,
    THRESHOLDS,
    WIDTHS,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vinfo_mpi.results.tables import Results


def draw_merging(results: Results, ax: Axes, panel: str = "layers") -> Axes:
    """How many channels does each layer need, and what is the network without the others?

    At every threshold, of the last checkpoint; panel: layers or accuracy.
    """
    import matplotlib as mpl

    if panel == "accuracy":
        return _draw_accuracy(results, ax)
    layers = results.names(MERGING_LAYERS)
    thresholds = results.read(THRESHOLDS)
    colours = mpl.colormaps[style.SCALE](np.linspace(0.15, 0.85, len(thresholds)))
    rows = zip(thresholds, shares(results), colours, strict=True)
    for threshold, of_threshold, colour in rows:
        ax.plot(range(len(layers)), of_threshold, "o-", color=colour, label=f"{threshold:g}")
    style.name_layers(ax, layers)
    ax.set(ylabel="share of channels left", ylim=(0, 1.05))
    style.legend_above(ax, columns=4)
    return ax


def _draw_accuracy(results: Results, ax: Axes) -> Axes:
    kept = results.read(PARAMETERS)[-1] / results.read(PARAMETERS_BEFORE)[-1]
    accuracy, error = results.read_with_error(ACCURACY)
    order = np.argsort(kept, kind="stable")
    style.curve(ax, kept[order], accuracy[-1][order], error[-1][order], "o-", color=style.DARK)
    ax.axhline(results.read(ACCURACY_BEFORE)[-1], color=style.LIGHT, linestyle="--")
    ax.set(xlabel="share of weights left", ylabel="accuracy", xlim=(0, 1.05), ylim=(0, 1.05))
    return ax


def say_merging(results: Results) -> str:
    """Return what is left at each threshold, and how that goes with depth and width of layers."""
    left = shares(results)
    widths = results.read(WIDTHS)
    weights = results.read(PARAMETERS)[-1] / results.read(PARAMETERS_BEFORE)[-1]
    accuracy, error = results.read_with_error(ACCURACY)
    before = results.read(ACCURACY_BEFORE)[-1]
    each = []
    for row, threshold in enumerate(results.read(THRESHOLDS)):
        kept = (
            f"{100 * left[row].mean():.0f} % of the channels (mean over the layers) and "
            f"{100 * weights[row]:.0f} % of the weights"
        )
        if np.isfinite(before):
            kept += f", accuracy {style.number(accuracy[-1, row], error[-1, row])},"
        each.append(f"{kept} at {threshold:g}")
    said = f"Merged up to a threshold, {len(widths)} layers have left: {'; '.join(each)}."
    if np.isfinite(before):
        said += f" Before, the accuracy is {before:.3f}."
    mean = left.mean(0)
    if len(widths) > 2 and np.ptp(mean) > 0:
        with_depth = correlation.spearman(mean, np.arange(len(mean)))
        with_width = correlation.spearman(mean, widths)
        said += (
            " Over the layers, the share left has rank correlation "
            f"{style.number(with_depth.value, with_depth.standard_error)} with the depth and "
            f"{style.number(with_width.value, with_width.standard_error)} with the width."
        )
    return said


def shares(results: Results) -> np.ndarray:
    """Return the share of channels left at the last checkpoint: (thresholds, layers)."""
    return results.read(CHANNELS)[-1] / results.read(WIDTHS)


MERGING_FIGURE = Figure(
    "merging",
    "How many channels can be merged",
    (
        *(MERGING_CHECKPOINTS, MERGING_LAYERS, WIDTHS, THRESHOLDS, CHANNELS),
        *(ACCURACY_BEFORE, ACCURACY, ACCURACY.se, PARAMETERS_BEFORE, PARAMETERS),
    ),
    draw_merging,
    say_merging,
    size=(style.TWO_COLUMNS, 2.6),
    panels=({"panel": "layers"}, {"panel": "accuracy"}),
)
