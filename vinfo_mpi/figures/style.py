"""Style of all figures: sizes for a paper, colours, numbers in words.

The colours also work in grey and for the colour-blind.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10
from typing import TYPE_CHECKING, Any

import numpy as np

from vinfo_mpi.numerics.bootstrap import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.colors import ListedColormap

ONE_COLUMN = 3.3  # inches
TWO_COLUMNS = 6.8
NARROW = 5.0  # below it, legends have fewer columns
DPI = 300
PAPER: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 3,
    "pdf.fonttype": 42,  # TrueType: text that editors and journals accept
}
# Okabe and Ito (2008), "Color Universal Design": told apart by the colour-blind; the first two also
# in grey.
DARK = "#0072B2"
LIGHT = "#E69F00"
OTHERS = ("#D55E00", "#009E73", "0.35")
FAINT = "0.6"  # what is behind marks
SCALE = "viridis"  # rises in lightness all along
LEVELS = 16  # of it that marks have: a page gives each a colour that is seen on its background
# Petroff (2021), "Accessible Color Sequences for Data Visualization", and a shape for each.
CLASSES = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
SHAPES = "os^vDP<X>*"
MANY = 5000  # marks from which on they are pixels in a PDF


def scale_of_marks() -> ListedColormap:
    """Return `SCALE` in `LEVELS`: colours of marks by a number."""
    import matplotlib as mpl
    from matplotlib.colors import ListedColormap

    return ListedColormap(mpl.colormaps[SCALE](np.linspace(0, 1, LEVELS)), "marks")


def points(ax: Axes, x: np.ndarray, y: np.ndarray, **options: Any) -> PathCollection:
    """Draw a mark per concept: x, y (K,); the larger the type, the larger."""
    from matplotlib import rcParams

    size = float(np.clip(2000 / len(x), 1.5, 8)) if len(x) else 8
    size *= (rcParams["font.size"] / PAPER["font.size"]) ** 2
    defaults = {"s": size, "c": DARK, "alpha": 0.75, "linewidths": 0, "rasterized": len(x) > MANY}
    return ax.scatter(x, y, **defaults | options)


def curve(
    ax: Axes, x: np.ndarray, y: np.ndarray, error: np.ndarray, line: str, **options: Any
) -> None:
    """Draw a line, and a band of one standard error to either side.

    `line` is matplotlib's short form, as in 'o--'.
    """
    [drawn] = ax.plot(x, y, line, **options)
    ax.fill_between(x, y - error, y + error, color=drawn.get_color(), alpha=0.2, linewidth=0)


def curves_over_taps(
    ax: Axes, values: np.ndarray, errors: np.ndarray, labels: Sequence[str]
) -> None:
    """Draw a curve over the taps, with its errors, for each column: (L, columns) arrays."""
    taps = np.arange(1, len(values) + 1)
    for column, (label, colour) in enumerate(zip(labels, (DARK, LIGHT, *OTHERS), strict=False)):
        curve(ax, taps, values[:, column], errors[:, column], "o-", color=colour, label=label)
    ax.set(xlabel="tap", ylim=(-0.05, 1.05))


def ends_over_layers(
    ax: Axes,
    layers: Sequence[str],
    epochs: np.ndarray,
    values: np.ndarray,
    errors: np.ndarray | None = None,
) -> None:
    """Draw what layers have at the first and the last checkpoint: (E, L) arrays; epochs (E,)."""
    places = np.arange(len(layers))
    for row, colour, line in ((0, LIGHT, "s--"), (len(epochs) - 1, DARK, "o-")):
        options: dict[str, Any] = {"color": colour, "label": f"epoch {epochs[row]}"}
        if errors is None:
            ax.plot(places, values[row], line, **options)
        else:
            curve(ax, places, values[row], errors[row], line, **options)
    name_layers(ax, layers)
    ax.set_ylim(0, None)
    legend_above(ax)


def name_layers(ax: Axes, layers: Sequence[str]) -> None:
    """Name the layers at 0, 1, ... along the axis; of many, some."""
    ticks, names = thinned(layers, 8)
    ax.set_xticks(ticks, names, rotation=45, ha="right", rotation_mode="anchor")


def legend_above(ax: Axes, columns: int = 2, narrow: int = 2) -> None:
    """Say above the axes, off the data, what its curves are, in fewer columns on a page."""
    figure = ax.get_figure(root=True)
    if figure is not None and figure.get_figwidth() < NARROW:
        columns = min(columns, narrow)
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(-0.02, 1),
        ncols=columns,
        borderaxespad=0.2,
        columnspacing=1,
        handlelength=2.2,
    )


def legend_beside(ax: Axes, title: str) -> None:
    """Say to the right of the axes what its marks are.

    All of one size, however small they are drawn.
    """
    legend = ax.legend(
        loc="upper left",
        bbox_to_anchor=(1, 1),
        borderaxespad=0.1,
        handletextpad=0,
        labelspacing=0.3,
        title=title,
    )
    legend.get_title().set_fontsize(legend.get_texts()[0].get_fontsize())
    for handle in legend.legend_handles:
        handle.set(sizes=[12])  # type: ignore[union-attr]


def letter(panels: Sequence[Axes]) -> None:
    """Write (a), (b), ... to the left above panels."""
    for number, ax in enumerate(panels):
        ax.annotate(
            f"({chr(ord('a') + number)})",
            xy=(0, 1),
            xycoords="axes fraction",
            xytext=(-6, 3),
            textcoords="offset points",
            ha="right",
            va="bottom",
            weight="bold",
        )


def thinned(labels: Sequence[str], at_most: int) -> tuple[list[int], list[str]]:
    """Return positions and texts of some labels, evenly spaced, the last always among them.

    >>> thinned(["a", "b", "c", "d", "e"], 3)
    ([0, 2, 4], ['a', 'c', 'e'])
    """
    step = -(-len(labels) // at_most)
    from_last = range(len(labels) - 1, -1, -step)
    places = sorted(from_last)
    return places, [labels[place] for place in places]


def number(value: float, error: float = np.nan) -> str:
    """Return a number with its standard error, where there is one.

    It has two decimals, or as many as the error needs.

    >>> number(0.512, 0.0104), number(0.5), number(-0.25, 0.003)
    ('0.51 ± 0.01', '0.50', '-0.250 ± 0.003')
    """
    if not np.isfinite(error):
        return f"{value:.2f}"
    digits = min(4, max(2, -floor(log10(error)))) if error > 0 else 2
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def errors_over(estimate: Estimate) -> str:
    """Return what the standard error of a mean over concepts is over.

    >>> errors_over(Estimate(0.5, 0.02, n=300, clusters=10))
    '± over 10 classes'
    """
    return f"± over {estimate.over}"


def correlation_text(correlation: Estimate) -> str:
    """Return a rank correlation with its standard error and the number of concepts.

    And of classes, where the error is over these.

    >>> correlation_text(Estimate(-0.68, 0.071, n=300, clusters=10))
    'Spearman -0.68 ± 0.07, n = 300 in 10 classes'
    """
    if np.isnan(correlation.value):
        return f"Spearman undefined, n = {correlation.n}"
    sign = "" if correlation.value < 0 else "+"
    value = number(correlation.value, correlation.standard_error)
    classes = "" if correlation.clusters == correlation.n else f" in {correlation.over}"
    return f"Spearman {sign}{value}, n = {correlation.n}{classes}"


def title(correlation: Estimate) -> str:
    """Return the same for a figure, with the minus sign that its ticks have."""
    return correlation_text(correlation).replace("-", "\N{MINUS SIGN}")


def relation(correlation: Estimate, rising: str, falling: str) -> str:
    """Return which of two sentences a correlation speaks for, with its numbers.

    Neither where it is less than two standard errors from 0.
    """
    said = "No clear relation with complexity"
    if abs(correlation.value) > 2 * np.nan_to_num(correlation.standard_error):
        said = rising if correlation.value > 0 else falling
    return f"{said}: {correlation_text(correlation)}."


def change(values: Sequence[float] | np.ndarray, errors: Sequence[float] | np.ndarray) -> str:
    """Return in words how a quantity changes from its first value to its last.

    It rises or falls where that is beyond two standard errors of the difference.

    >>> change([0.7, 0.6, 0.5], [0.01, 0.01, 0.02])
    'falls from 0.70 ± 0.01 to 0.50 ± 0.02'
    """
    verb = "hardly changes,"
    ends = [errors[0], errors[-1]]
    if abs(values[-1] - values[0]) > 2 * np.hypot(*np.nan_to_num(ends)):
        verb = "rises" if values[-1] > values[0] else "falls"
    return f"{verb} from {number(values[0], errors[0])} to {number(values[-1], errors[-1])}"
