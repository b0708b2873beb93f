"""Figure of patterns: do images have codes of their own, and do the codes tell the classes?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vinfo_mpi.figures import style
from vinfo_mpi.figures.figure import Figure
from vinfo_mpi.results.schema_patterns import (
    AMBIGUITY,
    BITS,
    CODE_LAYERS,
    CODE_REDUNDANCY,
    EQUAL_BITS,
    EQUAL_REDUNDANCY,
    KMEANS,
    KNN,
    LOGISTIC,
    NETWORK_ACCURACY,
    OFF,
    ON,
    PATTERN_CHECKPOINTS,
    RECALL,
    RELAXATIONS,
    SPLIT_IMAGES,
    SPLITS,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vinfo_mpi.results.dataset import Dataset
    from vinfo_mpi.results.tables import Results

OVER_EPOCHS = {
    LOGISTIC: (style.DARK, "o-", "logistic"),
    KNN: (style.LIGHT, "s--", "9 neighbours"),
    KMEANS: (style.OTHERS[1], "^:", "K-means"),
    NETWORK_ACCURACY: (style.OTHERS[2], "-.", "network"),
}
OVER_RELAXATIONS = {
    RECALL: (style.DARK, "o-", "recall"),
    AMBIGUITY: (style.OTHERS[0], "v:", "ambiguity"),
}
PANELS = ("codes", "patterns")


def draw_patterns(results: Results, ax: Axes, panel: str = "codes") -> Axes:
    """Do the codes of hidden units, all layers together, tell images and classes apart?

    Panel codes: redundancy and accuracies over the checkpoints. Panel patterns: what the classes'
    patterns hold over the relaxation, at the last checkpoint.
    """
    (_codes if panel == "codes" else _patterns)(results, ax)
    ax.set_ylim(-0.02, 1.02)
    style.legend_above(ax)
    return ax


def say_patterns(results: Results) -> str:
    """Return how redundancy and accuracies change, and what patterns say of held-out images."""
    epochs = results.read(PATTERN_CHECKPOINTS)
    accuracies = ", ".join(
        f"{label} {style.change(*_together(results, dataset))}"
        for dataset, (*_, label) in OVER_EPOCHS.items()
        if np.isfinite(results.read(dataset)).all()
    )
    split = results.names(SPLITS)[0]
    redundancy = style.change(*_of_split(results, CODE_REDUNDANCY))
    few = style.change(*_of_split(results, EQUAL_REDUNDANCY))
    ends = "; ".join(_relaxed(results, end) for end in (0, -1))
    return (
        f"From epoch {epochs[0]} to {epochs[-1]}, the redundancy of the codes of "
        f"{results.read(BITS)[-1]} bits, all layers together, over "
        f"{results.read(SPLIT_IMAGES)[0]} images ({split}) {redundancy}, that of "
        f"{results.read(EQUAL_BITS)} of the bits {few}. Accuracy on the judged images: "
        f"{accuracies}. In the end, the pattern of a class {ends}."
    )


def _relaxed(results: Results, number: int) -> str:
    """Return what is said of one of the relaxations."""

    def shown(dataset: Dataset) -> str:
        values, errors = results.read_with_error(dataset)
        return style.number(values[-1, -1, number], errors[-1, -1, number])

    return (
        f"wants {shown(ON)} of the units on and {shown(OFF)} off at the relaxation "
        f"{results.read(RELAXATIONS)[number]:.2f}, where {shown(RECALL)} of the judged images of "
        f"the class and {shown(AMBIGUITY)} of the others follow it"
    )


def _codes(results: Results, ax: Axes) -> None:
    epochs = results.read(PATTERN_CHECKPOINTS)
    values, errors = _of_split(results, EQUAL_REDUNDANCY)
    label = f"redundancy, {results.read(EQUAL_BITS)} bits"
    style.curve(ax, epochs, values, errors, "D-", color=style.OTHERS[0], label=label)
    for dataset, (colour, line, name) in OVER_EPOCHS.items():
        values, errors = _together(results, dataset)
        style.curve(ax, epochs, values, errors, line, color=colour, label=name)
    ax.set(xlabel="epoch", ylabel="share of the images")


def _patterns(results: Results, ax: Axes) -> None:
    relaxations = results.read(RELAXATIONS)
    for dataset, (colour, line, name) in OVER_RELAXATIONS.items():
        values, errors = results.read_with_error(dataset)
        style.curve(ax, relaxations, values[-1, -1], errors[-1, -1], line, color=colour, label=name)
    wanted = results.read(ON)[-1, -1] + results.read(OFF)[-1, -1]
    ax.plot(relaxations, wanted, "s--", color=style.LIGHT, label="units in the pattern")
    ax.set(xlabel="relaxation", ylabel="share of images, of units")


def _together(results: Results, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return a curve over the checkpoints, of all layers together, and its error."""
    values, errors = results.read_with_error(dataset)
    return (values, errors) if values.ndim == 1 else (values[:, -1], errors[:, -1])


def _of_split(results: Results, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the same of the images of the first split: those learned from, if there are any."""
    values, errors = results.read_with_error(dataset)
    return values[:, 0, -1], errors[:, 0, -1]


_CURVES = (CODE_REDUNDANCY, EQUAL_REDUNDANCY, *OVER_EPOCHS, *OVER_RELAXATIONS, ON, OFF)
PATTERNS_FIGURE = Figure(
    "patterns",
    "Codes of images, and patterns of classes, in the hidden units",
    (
        *(PATTERN_CHECKPOINTS, SPLITS, SPLIT_IMAGES, CODE_LAYERS, BITS, EQUAL_BITS, RELAXATIONS),
        *(each for dataset in _CURVES for each in (dataset, dataset.se)),
    ),
    draw_patterns,
    say_patterns,
    size=(style.TWO_COLUMNS, 2.6),
    panels=tuple({"panel": panel} for panel in PANELS),
)
