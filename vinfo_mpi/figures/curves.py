"""Figures of curves: over epochs, blocks, proportions and features.

Each is drawn by `draw_<name>` and described, with its numbers, by `say_<name>`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vinfo_mpi.figures import style
from vinfo_mpi.numerics.selection import extremes, most_important
from vinfo_mpi.numerics.support import IN_TURN
from vinfo_mpi.results.schema import COMPLEXITY, LATE, UNREADABLE
from vinfo_mpi.results.schema_analyses import (
    CUMULATED_QUALITY,
    CUMULATED_UTILISATION,
    EFFECTIVE_DIMENSION,
    EIGENVALUES,
    ENDS,
    FLOW_BLOCKS,
    LAZINESS,
    MEASURES,
    SIGNIFICANT,
    SPECTRUM_CHECKPOINTS,
    SPECTRUM_TAPS,
    SUPPORT_AREA,
    SUPPORT_ORDERS,
    SUPPORT_PROPORTIONS,
    SUPPORT_RELATIVE,
    flow_mean,
)
from vinfo_mpi.results.schema_sedimentation import (
    MEAN_COMPLEXITY,
    MEAN_PARTS,
    OWN_COMPLEXITY,
    OWN_EPOCHS,
    OWN_IMPORTANCE,
    TOP_COMPLEXITY,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vinfo_mpi.results.dataset import Dataset
    from vinfo_mpi.results.tables import Results

COLOUR_OF_END = {"simple": style.LIGHT, "complex": style.DARK}
LINE_OF_BRANCH = {"shortcut": "o-", "main": "^--"}
LINE_OF_PART = {LATE: (style.OTHERS[1], "^:"), UNREADABLE: (style.OTHERS[2], "v:")}
ORDERS = {  # how they are drawn, and what they are called
    "importance-descending": (style.DARK, "-", "most important first"),
    "importance-ascending": (style.LIGHT, "-", "least important first"),
    "complexity-ascending": (style.OTHERS[1], "-.", "simplest first"),
    "complexity-descending": (style.OTHERS[0], "--", "most complex first"),
    "random": (style.OTHERS[2], ":", "random"),
}
SPECTRA = {  # by the name of the curve, its dataset and what it is called
    EIGENVALUES.column: (EIGENVALUES, "eigenvalue / largest"),
    CUMULATED_UTILISATION.column: (CUMULATED_UTILISATION, "cumulated utilisation"),
    CUMULATED_QUALITY.column: (CUMULATED_QUALITY, "cumulated quality"),
}


def draw_epochs(results: Results, ax: Axes) -> Axes:
    """Do the concepts a network has become more complex as it trains?

    Mean complexity over epochs, of all concepts and of the most important ones; for all of them
    its late and its unreadable part as well.
    """
    epochs = results.read(OWN_EPOCHS)
    values, errors = results.read_with_error(MEAN_COMPLEXITY)
    style.curve(ax, epochs, values, errors, "o-", color=style.DARK, label="all concepts")
    values, errors = results.read_with_error(TOP_COMPLEXITY)
    label = f"the {_numbers_of_important(results)[-1]} most important"
    style.curve(ax, epochs, values, errors, "s--", color=style.LIGHT, label=label)
    for part_of, (colour, line) in LINE_OF_PART.items():
        values, errors = results.read_with_error(MEAN_PARTS[part_of])
        label = f"all: {part_of.column}"
        style.curve(ax, epochs, values, errors, line, color=colour, label=label)
    ax.set(xlabel="epoch", ylabel="mean complexity K")
    style.legend_above(ax)
    return ax


def say_epochs(results: Results) -> str:
    """Return how the mean complexities change over the epochs."""
    epochs = results.read(OWN_EPOCHS)
    of_all = style.change(*results.read_with_error(MEAN_COMPLEXITY))
    of_important = style.change(*results.read_with_error(TOP_COMPLEXITY))
    of_parts = [
        f"{part_of.column} {style.change(*results.read_with_error(MEAN_PARTS[part_of]))}"
        for part_of in LINE_OF_PART
    ]
    living = np.isfinite(results.read(OWN_COMPLEXITY)).sum(1)
    important = _numbers_of_important(results)
    return (
        f"From epoch {epochs[0]} to {epochs[-1]}, the mean complexity of all living concepts "
        f"(n = {living[0]} and {living[-1]}) {of_all}; that of the most important "
        f"(n = {important[0]} and {important[-1]}) {of_important}. Of the parts of the former, "
        f"{' and '.join(of_parts)}."
    )


def draw_flow(results: Results, ax: Axes, measure: str = "vinformation", key: bool = True) -> Axes:
    """What do shortcuts carry, what do main branches add?

    Means over simple and complex concepts; measure: vinformation or cka.
    """
    blocks = results.names(FLOW_BLOCKS)
    places = np.arange(len(blocks))
    for end in ENDS:
        for branch, line in LINE_OF_BRANCH.items():
            values, errors = results.read_with_error(flow_mean(end, branch, measure))
            label = f"{end}, {branch}"
            colour = COLOUR_OF_END[end]
            style.curve(ax, places, values, errors, line, color=colour, label=label)
    style.name_layers(ax, blocks)
    ax.set(ylabel=MEASURES[measure])
    if key:
        style.legend_above(ax)
    return ax


def say_flow(results: Results) -> str:
    """Return how much the shortcuts hold of simple and of complex concepts, at either end."""
    share = results.settings["flow"]["flow"]["extremes"]
    n = len(extremes(results.read(COMPLEXITY), share)["simple"])

    def changes(measure: str) -> list[str]:
        means = [flow_mean(end, "shortcut", measure) for end in ENDS]
        return [style.change(*results.read_with_error(mean)) for mean in means]

    simple, complex_ = changes("vinformation")
    simple_cka, complex_cka = changes("cka")
    return (
        "From the first block to the last, the V-information of the shortcuts about the simplest "
        f"{100 * share:g} % of the concepts (n = {n}) {simple}; about the most complex (n = {n}) "
        f"it {complex_}. Their CKA, which also falls with whatever else a shortcut carries, "
        f"{simple_cka} and {complex_cka}."
    )


def draw_support(results: Results, ax: Axes, in_turn: bool = True, key: bool = True) -> Axes:
    """How many concepts do the decisions need?

    Accuracy with a part of them, relative to that with all. `in_turn`: those by complexity and at
    random are taken in turn over the classes; else whatever their class.
    """
    proportions = results.read(SUPPORT_PROPORTIONS)
    values, errors = results.read_with_error(SUPPORT_RELATIVE)
    rows = {name: row for row, name in enumerate(results.names(SUPPORT_ORDERS))}
    for name, (colour, line, label) in ORDERS.items():
        row = rows.get(f"{name}-in-turn" if in_turn and name in IN_TURN else name)
        if row is not None:  # files of earlier versions have no orders in turn
            style.curve(ax, proportions, values[row], errors[row], line, color=colour, label=label)
    how = "in turn over classes" if in_turn else "whatever their class"
    ax.set(xlabel=f"share of concepts kept, {how}", ylabel="relative accuracy", xlim=(0, 1))
    if key:
        style.legend_above(ax)
    return ax


def say_support(results: Results) -> str:
    """Return what half of the concepts are worth, the more and the less important one."""
    proportions = results.read(SUPPORT_PROPORTIONS)
    orders = results.names(SUPPORT_ORDERS)
    values, errors = results.read_with_error(SUPPORT_RELATIVE)
    half = int(np.abs(proportions - 0.5).argmin())

    def accuracy(order: str) -> str:
        row = orders.index(order)
        return style.number(values[row, half], errors[row, half])

    return (
        f"With {100 * proportions[half]:.0f} % of {len(results.concepts)} concepts, the accuracy "
        f"is {accuracy('importance-descending')} of that with all where the most important are "
        f"kept, and {accuracy('importance-ascending')} where the least important are kept. "
        f"{_simple_and_random(results)}"
    )


def _simple_and_random(results: Results) -> str:
    """Return what complexity alone has to do with it, where it was measured."""
    orders = results.names(SUPPORT_ORDERS)
    areas, errors = results.read_with_error(SUPPORT_AREA)
    if "random-in-turn" not in orders:
        return ""

    def area(order: str) -> str:
        row = orders.index(order)
        return style.number(areas[row], errors[row])

    return (
        f"Taken in turn over the classes, the area under the curve is "
        f"{area('complexity-ascending-in-turn')} with the simplest first, "
        f"{area('complexity-descending-in-turn')} with the most complex first, and "
        f"{area('random-in-turn')} at random; whatever their class, "
        f"{area('complexity-ascending')}, {area('complexity-descending')} and {area('random')}."
    )


def draw_spectrum(
    results: Results, ax: Axes, curve: str = EIGENVALUES.column, key: bool = True
) -> Axes:
    """How many directions does the last tap use?

    Per checkpoint; curve: eigenvalues, cumulated_utilisation or cumulated_quality.
    """
    import matplotlib as mpl
    from matplotlib.colors import Normalize

    dataset, label = SPECTRA[curve]
    epochs = results.read(SPECTRUM_CHECKPOINTS)
    values = results.read(dataset)[:, -1]
    if dataset == EIGENVALUES:
        values = values / values[:, :1]
        ax.set_yscale("log")
    scale = mpl.cm.ScalarMappable(Normalize(epochs[0], epochs[-1]), style.scale_of_marks())
    features = np.arange(1, values.shape[1] + 1)
    for epoch, of_epoch in zip(epochs, values, strict=True):
        ax.plot(features, of_epoch, color=scale.to_rgba(epoch), linewidth=1)
    ax.set(xlabel="feature", ylabel=label, xscale="log")
    if key:
        ax.figure.colorbar(scale, ax=ax, label="epoch")
    return ax


def say_spectrum(results: Results) -> str:
    """Return how many features matter at either end, and how lazy the training is."""
    epochs = results.read(SPECTRUM_CHECKPOINTS)
    significant = results.read(SIGNIFICANT)[:, -1]
    tap = results.names(SPECTRUM_TAPS)[-1]
    return (
        f"90 % of the utilisation of {tap} lies in its first {significant[0]} features at epoch "
        f"{epochs[0]}, in its first {significant[-1]} at epoch {epochs[-1]}. "
        f"Its effective dimension {_change_of_last_tap(results, EFFECTIVE_DIMENSION)}; "
        f"the laziness {_change_of_last_tap(results, LAZINESS)} (0 = rich, 1 = lazy)."
    )


def _change_of_last_tap(results: Results, dataset: Dataset) -> str:
    """Return how a number changes over the checkpoints: (checkpoints, taps)."""
    values, errors = results.read_with_error(dataset)
    return style.change(values[:, -1], errors[:, -1])


def _numbers_of_important(results: Results) -> list[int]:
    """Return how many of each epoch's own concepts count as the most important."""
    options = results.settings["sedimentation"]["sedimentation"]
    share = options["important"]
    at_least = options["at_least"]
    complexities = results.read(OWN_COMPLEXITY)
    importances = results.read(OWN_IMPORTANCE)
    return [
        len(most_important(complexity, importance, share, at_least))
        for complexity, importance in zip(complexities, importances, strict=True)
    ]
