"""The figures of a comparison's page."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from vinfo_mpi.comparison.findings import Comparison
from vinfo_mpi.comparison.study import Study
from vinfo_mpi.figures import style
from vinfo_mpi.results.schema import COMPLEXITY, VINFORMATION


def draw_layers(comparison: Comparison, first: Study, second: Study, ax: Axes) -> None:
    """Draw the CKA of every pair of layers."""
    cka = comparison.layers[first.label, second.label]
    image = ax.imshow(cka, vmin=0, vmax=1, cmap=style.SCALE, origin="lower", aspect="auto")
    ax.set_yticks(*style.thinned(first.activations.taps, 10))
    ax.set_xticks(*style.thinned(second.activations.taps, 10), rotation=90)
    ax.set(ylabel=first.label, xlabel=second.label)
    ax.figure.colorbar(image, ax=ax, label="CKA, debiased")


def draw_depth(comparison: Comparison, concepts: Study, layers: Study, ax: Axes) -> None:
    """Draw the mean V-information over depth at home and in the other network."""
    home = concepts.results.read(VINFORMATION)
    there = comparison.there[concepts.label, layers.label].vinformation
    for values, label, colour in (
        (home, f"at layers of {concepts.label}", style.DARK),
        (there, f"at layers of {layers.label}", style.LIGHT),
    ):
        depth = np.linspace(0, 1, len(values))
        ax.plot(depth, np.nanmean(values, axis=1), marker="o", color=colour, label=label)
    ax.set(xlabel="depth, share of the layers", ylabel="mean V-information", ylim=(0, 1))
    style.legend_above(ax, columns=1)


def draw_complexity(comparison: Comparison, concepts: Study, layers: Study, ax: Axes) -> None:
    """Draw the complexity in the other network over that at home."""
    there = comparison.there[concepts.label, layers.label].complexity
    ax.plot([0, 1], [0, 1], color=style.FAINT, linewidth=0.8)
    style.points(ax, concepts.results.read(COMPLEXITY), there, c=style.DARK)
    ax.set(
        xlabel=f"complexity in {concepts.label}",
        ylabel=f"complexity in {layers.label}",
        xlim=(0, 1.02),
        ylim=(0, 1.02),
    )


def draw_matches(comparison: Comparison, concepts: Study, other: Study, ax: Axes) -> None:
    """Draw how well concepts are matched, with and without what classes have in common."""
    matches = comparison.matches[concepts.label, other.label]
    bins = np.linspace(0, 1, 21).tolist()
    for values, label, colour in (
        (matches.correlation, "over all images", style.LIGHT),
        (matches.correlation_within, "within classes", style.DARK),
    ):
        ax.hist(values, bins, histtype="step", color=colour, label=label)
    ax.set(
        xlabel=f"correlation with the best concept of {other.label}",
        ylabel=f"concepts of {concepts.label}",
    )
    style.legend_above(ax)
