"""Figures in which every concept has its mark: distribution, heat map, scatter plots, the map of atoms.

Each is drawn by `draw_<name>` and described, with its numbers, by `say_<name>`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vinfo_mpi.figures import style
from vinfo_mpi.numerics import correlation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from vinfo_mpi.results.tables import Results

COMPLEXITY, IMPORTANCE = "complexity K", "importance Γ (logits)"
NAME = 12  # characters of a class's name that a legend shows
BINS = [edge / 40 for edge in range(41)]


def draw_complexity(results: Results, ax: Axes) -> Axes:
    """How complex are the concepts? Their distribution, and its median."""
    values = _living(results)["complexity"]
    ax.hist(values, bins=BINS, color=style.DARK)
    ax.axvline(values.median(), color="black", linewidth=1, linestyle="--")
    ax.set(xlabel=COMPLEXITY, ylabel="concepts", xlim=(0, 1), title=f"n = {len(values)}, median {values.median():.2f}")
    return ax


def say_complexity(results: Results) -> str:
    """Return where the middle and the ends of the distribution lie."""
    values = _living(results)["complexity"]
    low, middle, high = values.quantile([0.1, 0.5, 0.9])
    return (
        f"Complexities of {len(values)} living concepts of {len(results.concepts)}: half lie below {middle:.2f}, and 80 % between "
        f"{low:.2f} and {high:.2f}; their mean is {style.number(values.mean(), values.std() / len(values) ** 0.5)}."
    )


def draw_vinformation(results: Results, ax: Axes) -> Axes:
    """Where in the network is each concept available? V-information of the taps, concepts from simple to complex."""
    complexity = _living(results)["complexity"].sort_values()
    table = results.vinformation[complexity.index]
    # Nearest: the default blurs taps into each other where there are more concepts than pixels.
    image = ax.imshow(table, aspect="auto", origin="lower", vmin=0, vmax=1, cmap=style.SCALE, interpolation="nearest")
    shown = np.unique(np.linspace(0, len(complexity) - 1, 6).round().astype(int))
    ax.set_xticks(shown, [f"{value:.2f}" for value in complexity.iloc[shown]])
    ax.set_yticks(*style.thinned([str(name) for name in table.index], 16))
    ax.set(xlabel=f"concepts by their {COMPLEXITY}")
    ax.spines[:].set_visible(False)
    ax.figure.colorbar(image, ax=ax, label="V-information")
    return ax


def say_vinformation(results: Results) -> str:
    """Return how much of the concepts the first and the last tap make available."""
    table = results.vinformation[_living(results).index]
    means, errors = table.mean(axis=1), table.sem(axis=1)
    change = style.change(means.iloc[0], means.iloc[-1], (errors.iloc[0], errors.iloc[-1]))
    return (
        f"The further right, the less of a concept the taps make available, on average. The mean V-information of {table.shape[1]} "
        f"concepts {change} between the taps {table.index[0]} and {table.index[-1]}."
    )


def draw_complexity_importance(results: Results, ax: Axes) -> Axes:
    """Does the decision rest on simple concepts? Complexity against importance in the final network."""
    return _against_complexity(results, ax, "importance", IMPORTANCE)


def say_complexity_importance(results: Results) -> str:
    """Return how complexity and importance go together in the final network."""
    found = results.correlation("complexity", "importance")
    return style.relation(
        found,
        "In the final network, complex concepts are the more important ones",
        "In the final network, complex concepts are the less important ones",
    )


def draw_complexity_importance_first(results: Results, ax: Axes) -> Axes:
    """Is it so from the beginning? Complexity against importance of the concepts found after the first epoch kept."""
    epoch, complexity, importance = _first(results)
    style.points(ax, complexity, importance)
    found = correlation.spearman(complexity, importance)
    ax.set(xlabel=f"{COMPLEXITY}, epoch {epoch}", ylabel=IMPORTANCE, xlim=(0, 1), title=style.title(found))
    return ax


def say_complexity_importance_first(results: Results) -> str:
    """Return how complexity and importance go together at the first epoch."""
    epoch, complexity, importance = _first(results)
    where = f"At epoch {epoch}, of the concepts found in that epoch's network, the complex ones are"
    found = correlation.spearman(complexity, importance)
    return style.relation(found, f"{where} the more important", f"{where} the less important")


def draw_complexity_temporal(results: Results, ax: Axes) -> Axes:
    """Are complex concepts learned later? Complexity against the temporal score."""
    return _against_complexity(results, ax, "temporal", "temporal score Λ")


def say_complexity_temporal(results: Results) -> str:
    """Return how complexity and temporal score go together."""
    found = results.correlation("complexity", "temporal")
    return style.relation(found, "Complex concepts are learned later", "Complex concepts are learned earlier")


def draw_redundancy(results: Results, ax: Axes) -> Axes:
    """Are complex concepts spread over fewer channels? CKA that is left when only a share of the channels is kept."""
    rates = [f"{100 * rate:g} %" for rate in results.read("redundancy/rates")]
    _levels(results, ax, "redundancy/values", rates, "channels\nkept")
    found = results.correlation("complexity", "redundancy")
    ax.set(xlabel=COMPLEXITY, ylabel="share of the CKA left", xlim=(0, 1), title=style.title(found))
    return ax


def say_redundancy(results: Results) -> str:
    """Return how complexity and redundancy go together."""
    found = results.correlation("complexity", "redundancy")
    said = style.relation(found, "Complex concepts are the more redundant", "Complex concepts are the less redundant")
    return f"{said} (Redundancy is the share of the CKA that is left by random subsets of the channels, their mean over all rates.)"


def draw_robustness(results: Results, ax: Axes) -> Axes:
    """Do complex concepts change more when images are noisy? Variance under noise, relative to that between images."""
    sigmas = [f"{sigma:g}" for sigma in results.read("robustness/sigmas")]
    _levels(results, ax, "robustness/variance", sigmas, "noise σ")
    found = results.correlation("complexity", "noise_variance")
    ax.set(xlabel=COMPLEXITY, ylabel="relative variance under noise", xlim=(0, 1), title=style.title(found), yscale="log")
    return ax


def say_robustness(results: Results) -> str:
    """Return how complexity and variance under noise go together."""
    found = results.correlation("complexity", "noise_variance")
    said = style.relation(found, "Noise changes complex concepts more", "Noise changes complex concepts less")
    return f"{said} (Variance of a concept's code under noise, relative to that between images, mean over the σ.)"


def draw_map(results: Results, ax: Axes, colour: str = "complexity") -> Axes:
    """Which concepts are alike? Their atoms on a plane; colour: complexity, importance or class."""
    table = _mapped(results)
    if colour == "class":
        _by_class(results, ax, table)
    else:
        values = table[colour].to_numpy()
        drawn = style.points(ax, *_places(table), c=values, cmap=style.SCALE, alpha=0.9)
        ax.figure.colorbar(drawn, ax=ax, label=COMPLEXITY if colour == "complexity" else IMPORTANCE, pad=0.02)
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(True)
    return ax


def say_map(results: Results) -> str:
    """Return whether neighbours on the map are alike in complexity and of one class."""
    from scipy.spatial import cKDTree

    table = _mapped(results)
    place = _places(table).T
    nearest = cKDTree(place).query(place, k=2)[1][:, 1]
    complexity, group = table["complexity"].to_numpy(), table["class"].to_numpy()
    found = style.correlation(correlation.spearman(complexity, complexity[nearest]))
    said = f"Atoms of similar directions lie close together. Complexity of a concept and of its nearest on the map: {found}."
    shares = np.unique(group, return_counts=True)[1] / len(group)
    if len(shares) > 1:
        same, chance = (group == group[nearest]).mean(), np.square(shares).sum()
        found = style.number(same, np.sqrt(same * (1 - same) / len(group)))
        said += f" The share of nearest ones that belong to the same class is {found}, and by chance {chance:.2g}."
    return said


def _living(results: Results) -> pd.DataFrame:
    return results.concepts[results.concepts["alive"]]


def _mapped(results: Results) -> pd.DataFrame:
    """Return the living concepts that have a place on the map."""
    living = _living(results)
    return living[living["map_x"].notna()]


def _against_complexity(results: Results, ax: Axes, column: str, label: str) -> Axes:
    living = _living(results)
    style.points(ax, living["complexity"].to_numpy(), living[column].to_numpy())
    title = style.title(results.correlation("complexity", column))
    ax.set(xlabel=COMPLEXITY, ylabel=label, xlim=(0, 1), title=title)
    return ax


def _first(results: Results) -> tuple[int, np.ndarray, np.ndarray]:
    """Return the first epoch of the training whose own concepts were found, their complexity and importance: (own concepts,)."""
    epochs = results.read("sedimentation/epochs")
    index = np.flatnonzero(epochs > 0)[0]
    complexity, importance = (results.read(f"sedimentation/{name}")[index] for name in ("complexity", "importance"))
    living = np.isfinite(complexity)
    return int(epochs[index]), complexity[living], importance[living]


def _levels(results: Results, ax: Axes, name: str, levels: list[str], title: str) -> None:
    """Draw a quantity against complexity for each of several levels: (levels, K)."""
    living = results.concepts["alive"].to_numpy()
    complexity = results.concepts["complexity"].to_numpy()[living]
    for values, level, colour, shape in zip(results.read(name), levels, _shades(len(levels)), _shapes(len(levels)), strict=True):
        style.points(ax, complexity, values[living], c=[colour], marker=shape, label=level)
    style.legend_beside(ax, title)


def _shades(count: int) -> list:
    import matplotlib as mpl

    return list(mpl.colormaps[style.SCALE](np.linspace(0.85, 0, count)))


def _shapes(count: int) -> list[str]:
    return [style.SHAPES[one % len(style.SHAPES)] for one in range(count)]


def _places(table: pd.DataFrame) -> np.ndarray:
    """Return where the atoms lie on the map: (2, K)."""
    return table[["map_x", "map_y"]].to_numpy().T


def _by_class(results: Results, ax: Axes, table: pd.DataFrame) -> None:
    """Give every class a colour and a shape; where there are too many, a colour by its place in the tree of the classes."""
    groups = np.unique(table["class"])
    if len(groups) > len(style.CLASSES):
        rank = np.argsort(results.read("metafeatures/leaves"))  # place of every class
        drawn = style.points(ax, *_places(table), c=rank[table["class"]], cmap=style.SCALE, alpha=0.9)
        ax.figure.colorbar(drawn, ax=ax, label="class, by place in the tree", pad=0.02)
        return
    for group, colour, shape in zip(groups, style.CLASSES, style.SHAPES, strict=False):
        own = table[table["class"] == group]
        name = results.classes[group][:NAME].replace("$", r"\$") if group >= 0 else "all"  # no formula
        style.points(ax, *_places(own), c=colour, marker=shape, alpha=0.9, s=8, label=name)
    style.legend_beside(ax, "class")
