"""Figures of curves over epochs, blocks, proportions and features: each with `draw_<name>` and, in words, `say_<name>`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vinfo_mpi.figures import style
from vinfo_mpi.numerics.selection import extremes, most_important

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vinfo_mpi.results.tables import Results

MEASURES = {"cka": "linear CKA", "vinformation": "V-information"}
ORDERS = {  # how they are drawn, and what they are called
    "importance-descending": (style.DARK, "-", "most important first"),
    "importance-ascending": (style.LIGHT, "-", "least important first"),
    "complexity-ascending": (style.OTHERS[1], "-.", "simplest first"),
    "complexity-descending": (style.OTHERS[0], "--", "most complex first"),
    "random": (style.OTHERS[2], ":", "random"),
}
SPECTRA = {
    "eigenvalues": "eigenvalue / largest",
    "cumulated_utilisation": "cumulated utilisation",
    "cumulated_quality": "cumulated quality",
}


def draw_epochs(results: Results, ax: Axes) -> Axes:
    """Do the concepts a network has become more complex as it trains? Mean complexity over epochs, all and the most important."""
    epochs = results.read("sedimentation/epochs")
    for name, label, colour, mark in (
        ("mean", "all concepts", style.DARK, "o-"),
        ("top", f"the {_important(results)[-1]} most important", style.LIGHT, "s--"),
    ):
        values, errors = (results.read(f"sedimentation/{name}_complexity{end}") for end in ("", "_se"))
        style.curve(ax, epochs, values, errors, mark, color=colour, label=label)
    ax.set(xlabel="epoch", ylabel="mean complexity K")
    style.legend_above(ax)
    return ax


def say_epochs(results: Results) -> str:
    """Return how the mean complexities change over the epochs."""
    epochs = results.read("sedimentation/epochs")
    said = []
    for name in ("mean", "top"):
        values, errors = (results.read(f"sedimentation/{name}_complexity{end}") for end in ("", "_se"))
        said.append(style.change(values[0], values[-1], (errors[0], errors[-1])))
    living = np.isfinite(results.read("sedimentation/complexity")).sum(1)
    important = _important(results)
    return (
        f"From epoch {epochs[0]} to {epochs[-1]}, the mean complexity of all living concepts (n = {living[0]} and {living[-1]}) "
        f"{said[0]}; that of the most important (n = {important[0]} and {important[-1]}) {said[1]}."
    )


def draw_flow(results: Results, ax: Axes, measure: str = "cka", key: bool = True) -> Axes:
    """What do shortcuts carry, what do main branches add? Means over simple and complex concepts; measure: cka or vinformation."""
    blocks = [name.decode() for name in results.read("flow/blocks")]
    for end, colour in (("simple", style.LIGHT), ("complex", style.DARK)):
        for branch, mark in (("shortcut", "o-"), ("main", "^--")):
            values, errors = (results.read(f"flow/{end}_{branch}_{measure}{ending}") for ending in ("", "_se"))
            style.curve(ax, np.arange(len(blocks)), values, errors, mark, color=colour, label=f"{end}, {branch}")
    places, names = style.thinned(blocks, 8)
    ax.set_xticks(places, names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set(ylabel=MEASURES[measure])
    if key:
        style.legend_above(ax)
    return ax


def say_flow(results: Results) -> str:
    """Return how much the shortcuts hold of simple and of complex concepts, at the first and at the last block."""
    share = results.settings["flow"]["flow"]["extremes"]
    count = len(extremes(results.read("concepts/complexity"), share)["simple"])
    said = []
    for end in ("simple", "complex"):
        values, errors = (results.read(f"flow/{end}_shortcut_cka{ending}") for ending in ("", "_se"))
        said.append(style.change(values[0], values[-1], (errors[0], errors[-1])))
    return (
        f"From the first block to the last, the CKA of the shortcuts with the simplest {100 * share:g} % of the concepts "
        f"(n = {count}) {said[0]}; with the most complex (n = {count}) it {said[1]}."
    )


def draw_support(results: Results, ax: Axes) -> Axes:
    """How many concepts do the decisions need? Accuracy with a part of them, relative to that with all."""
    proportions = results.read("support/proportions")
    values, errors = results.read("support/relative"), results.read("support/relative_se")
    for name, value, error in zip(_orders(results), values, errors, strict=True):
        colour, line, label = ORDERS[name]
        style.curve(ax, proportions, value, error, line, color=colour, label=label)
    ax.set(xlabel="share of concepts kept", ylabel="relative accuracy", xlim=(0, 1))
    style.legend_above(ax)
    return ax


def say_support(results: Results) -> str:
    """Return what half of the concepts are worth, the more and the less important one."""
    proportions, orders = results.read("support/proportions"), _orders(results)
    half = int(np.abs(proportions - 0.5).argmin())
    values, errors = results.read("support/relative")[:, half], results.read("support/relative_se")[:, half]
    best, worst = (
        style.number(values[row], errors[row])
        for row in (orders.index("importance-descending"), orders.index("importance-ascending"))
    )
    return (
        f"With {100 * proportions[half]:.0f} % of {len(results.concepts)} concepts, the accuracy is {best} of that with all where "
        f"the most important are kept, and {worst} where the least important are kept."
    )


def draw_spectrum(results: Results, ax: Axes, curve: str = "eigenvalues", key: bool = True) -> Axes:
    """How many directions does the last tap use? Per checkpoint; curve: eigenvalues, cumulated_utilisation or cumulated_quality."""
    import matplotlib as mpl
    from matplotlib.colors import Normalize

    epochs, values = results.read("spectrum/checkpoints"), results.read(f"spectrum/{curve}")[:, -1]
    scale = mpl.cm.ScalarMappable(Normalize(epochs[0], epochs[-1]), style.SCALE)
    if curve == "eigenvalues":
        values = values / values[:, :1]
        ax.set_yscale("log")
    for epoch, value in zip(epochs, values, strict=True):
        ax.plot(np.arange(1, len(value) + 1), value, color=scale.to_rgba(epoch), linewidth=1)
    ax.set(xlabel="feature", ylabel=SPECTRA[curve], xscale="log")
    if key:
        ax.figure.colorbar(scale, ax=ax, label="epoch")
    return ax


def say_spectrum(results: Results) -> str:
    """Return how many features matter at the first and at the last checkpoint, and how lazy the training is."""
    epochs, significant = results.read("spectrum/checkpoints"), results.read("spectrum/significant")[:, -1]
    tap = results.read("spectrum/taps")[-1].decode()
    said = []
    for name in ("effective_dimension", "laziness"):
        values, errors = (results.read(f"spectrum/{name}{ending}")[:, -1] for ending in ("", "_se"))
        said.append(style.change(values[0], values[-1], (errors[0], errors[-1])))
    return (
        f"90 % of the utilisation of {tap} lies in its first {significant[0]} features at epoch {epochs[0]}, in its first "
        f"{significant[-1]} at epoch {epochs[-1]}. Its effective dimension {said[0]}; the laziness {said[1]} (0 = rich, 1 = lazy)."
    )


def _orders(results: Results) -> list[str]:
    return [name.decode() for name in results.read("support/orders")]


def _important(results: Results) -> list[int]:
    """Return how many of each epoch's own concepts count as the most important."""
    options = results.settings["sedimentation"]["sedimentation"]
    pairs = zip(results.read("sedimentation/complexity"), results.read("sedimentation/importance"), strict=True)
    return [len(most_important(*pair, options["important"], options["at_least"])) for pair in pairs]
