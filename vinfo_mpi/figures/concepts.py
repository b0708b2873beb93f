"""Figures of all concepts by their complexity: how they spread, and what goes together with it.

Each is drawn by `draw_<name>` and described, with its numbers, by `say_<name>`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vinfo_mpi.figures import style
from vinfo_mpi.numerics import bootstrap
from vinfo_mpi.numerics.bootstrap import Estimate
from vinfo_mpi.numerics.correlation import spearman
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import (
    ALIVE,
    CLASS,
    COMPLEXITY,
    COMPLEXITY_HALF,
    COMPLEXITY_LIMIT,
    IMPORTANCE,
    LEARNED_LATE,
    TEMPORAL,
)
from vinfo_mpi.results.schema_analyses import (
    DICTIONARY_SE,
    NOISE_VARIANCE,
    NOISE_VARIANCE_UNDIVIDED,
    REDUNDANCY,
    REDUNDANCY_RATES,
    REDUNDANCY_VALUES,
    SIGMAS,
    VARIANCE,
)
from vinfo_mpi.results.schema_sedimentation import (
    OWN_COMPLEXITY,
    OWN_EPOCHS,
    OWN_IMPORTANCE,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vinfo_mpi.results.tables import Results

COMPLEXITY_LABEL = "complexity K"
IMPORTANCE_LABEL = "importance Γ (logits)"
BINS = [edge / 40 for edge in range(41)]


def draw_complexity(results: Results, ax: Axes) -> Axes:
    """How complex are the concepts? Their distribution, and its median."""
    complexity = results.living[COMPLEXITY.column]
    ax.hist(complexity, bins=BINS, color=style.DARK)
    ax.axvline(complexity.median(), color="black", linewidth=1, linestyle="--")
    title = f"n = {len(complexity)}, median {complexity.median():.2f}"
    ax.set(xlabel=COMPLEXITY_LABEL, ylabel="concepts", xlim=(0, 1), title=title)
    return ax


def say_complexity(results: Results) -> str:
    """Return where the middle and the ends of the distribution lie."""
    complexity = results.living[COMPLEXITY.column]
    low, middle, high = complexity.quantile([0.1, 0.5, 0.9])
    mean = results.mean(COMPLEXITY)
    said = (
        f"Complexities of {len(complexity)} living concepts of {len(results.concepts)}: "
        f"half lie below {middle:.2f}, and 80 % between {low:.2f} and {high:.2f}; "
        f"their mean is {style.number(mean.value, mean.standard_error)} "
        f"({style.errors_over(mean)})."
    )
    return " ".join(filter(None, [said, _say_errors(results), _say_number_of_images(results)]))


def _say_errors(results: Results) -> str:
    """Return how well the complexity of a single concept is known; "" where nothing is known."""
    of_what = {COMPLEXITY.se: "over the images", DICTIONARY_SE: "over starts of the dictionary"}
    means = {
        over: results.living[dataset.column].mean()
        for dataset, over in of_what.items()
        if dataset.column in results.living
    }
    known = [f"{mean:.3f} {over}" for over, mean in means.items() if np.isfinite(mean)]
    return f"Mean standard error of a single one: {', '.join(known)}." if known else ""


def _say_number_of_images(results: Results) -> str:
    """Return how the mean complexity depends on the number of images; "" where it is not known."""
    if COMPLEXITY_HALF not in results:
        return ""
    half = results.mean(COMPLEXITY_HALF).value
    limit = results.mean(COMPLEXITY_LIMIT).value
    return (
        f"It falls with the number of images: from half of them it would be {half:.3f}, "
        f"extrapolated to many {limit:.3f}. Compare K only between runs of equally many images, "
        f"otherwise {COMPLEXITY_LIMIT.column}."
    )


def draw_vinformation(results: Results, ax: Axes) -> Axes:
    """Where in the network is each concept available?

    V-information of the taps, concepts from simple to complex: a column each, so that the axis
    counts them, and names the complexity of some.
    """
    complexity = results.living[COMPLEXITY.column].sort_values()
    table = results.vinformation[complexity.index]
    image = ax.imshow(
        table,
        aspect="auto",
        origin="lower",
        vmin=0,
        vmax=1,
        cmap=style.SCALE,
        # The default blurs taps into each other where there are more concepts than pixels.
        interpolation="nearest",
        extent=(0.5, len(complexity) + 0.5, -0.5, len(table) - 0.5),
    )
    ranks = np.unique(np.linspace(1, len(complexity), 5).round().astype(int))
    ax.set_xticks(ranks, [f"{rank}\n{complexity.iloc[rank - 1]:.2f}" for rank in ranks])
    ax.set_yticks(*style.thinned([str(name) for name in table.index], 16))
    ax.set(xlabel=f"concepts by rank; below it, their {COMPLEXITY_LABEL}")
    ax.spines[:].set_visible(False)
    ax.figure.colorbar(image, ax=ax, label="V-information")
    return ax


def say_vinformation(results: Results) -> str:
    """Return how much of the concepts the first and the last tap make available."""
    table = results.vinformation[results.living.index]
    cluster = results.classes_of_living
    ends = [bootstrap.mean(table.iloc[tap].to_numpy(), cluster) for tap in (0, -1)]
    change = style.change(*zip(*((end.value, end.standard_error) for end in ends), strict=True))
    return (
        "The further right, the less of a concept the taps make available, on average. "
        f"The mean V-information of {table.shape[1]} concepts {change} "
        f"between the taps {table.index[0]} and {table.index[-1]} ({style.errors_over(ends[0])})."
    )


def draw_complexity_importance(results: Results, ax: Axes) -> Axes:
    """Does the decision rest on simple concepts?

    Complexity against importance in the final network.
    """
    return _against_complexity(results, ax, IMPORTANCE, IMPORTANCE_LABEL)


def say_complexity_importance(results: Results) -> str:
    """Return how complexity and importance go together in the final network."""
    return style.relation(
        results.correlation(COMPLEXITY, IMPORTANCE),
        "In the final network, complex concepts are the more important ones",
        "In the final network, complex concepts are the less important ones",
    )


def draw_complexity_importance_first(results: Results, ax: Axes) -> Axes:
    """Is it so from the beginning?

    Complexity against importance of the concepts that were found after the first epoch kept.
    """
    epoch, complexity, importance, correlation = _first_epoch(results)
    style.points(ax, complexity, importance)
    ax.set(
        xlabel=f"{COMPLEXITY_LABEL}, epoch {epoch}",
        ylabel=IMPORTANCE_LABEL,
        xlim=(0, 1),
        title=style.title(correlation),
    )
    return ax


def say_complexity_importance_first(results: Results) -> str:
    """Return how complexity and importance go together at the first epoch."""
    epoch, *_, correlation = _first_epoch(results)
    where = f"At epoch {epoch}, of the concepts found in that epoch's network, the complex ones are"
    return style.relation(
        correlation,
        f"{where} the more important",
        f"{where} the less important",
    )


def draw_complexity_temporal(results: Results, ax: Axes) -> Axes:
    """Are complex concepts learned later, or never? Complexity against the temporal score."""
    return _against_complexity(results, ax, TEMPORAL, "temporal score Λ")


def say_complexity_temporal(results: Results) -> str:
    """Return how complexity goes with the temporal score, and with its late part alone."""
    relation = style.relation(
        results.correlation(COMPLEXITY, TEMPORAL),
        "Complex concepts are learned later, or never",
        "Complex concepts are learned earlier",
    )
    late = style.correlation_text(results.correlation(COMPLEXITY, LEARNED_LATE))
    return f"{relation} With the late part of the score, without what is never learned: {late}."


def draw_redundancy(results: Results, ax: Axes) -> Axes:
    """Are complex concepts spread over fewer channels?

    V-information that is left when only a share of the channels is kept.
    """
    rates = [f"{100 * rate:g} %" for rate in results.read(REDUNDANCY_RATES)]
    _levels(results, ax, REDUNDANCY_VALUES, rates, "channels\nkept")
    title = style.title(results.correlation(COMPLEXITY, REDUNDANCY))
    ax.set(xlabel=COMPLEXITY_LABEL, ylabel="share of V left", xlim=(0, 1), title=title)
    return ax


def say_redundancy(results: Results) -> str:
    """Return how complexity and redundancy go together."""
    relation = style.relation(
        results.correlation(COMPLEXITY, REDUNDANCY),
        "Complex concepts are the more redundant",
        "Complex concepts are the less redundant",
    )
    return (
        f"{relation} (Redundancy is the share of the V-information that random subsets of the "
        "channels leave, their mean over all rates.)"
    )


def draw_robustness(results: Results, ax: Axes) -> Axes:
    """Do complex concepts change more when images are noisy?

    Variance under noise, relative to that between images.
    """
    sigmas = [f"{sigma:g}" for sigma in results.read(SIGMAS)]
    _levels(results, ax, VARIANCE, sigmas, "noise σ")
    title = style.title(results.correlation(COMPLEXITY, NOISE_VARIANCE))
    label = "relative variance under noise"
    ax.set(xlabel=COMPLEXITY_LABEL, ylabel=label, xlim=(0, 1), title=title, yscale="log")
    return ax


def say_robustness(results: Results) -> str:
    """Return how complexity and variance under noise go together, divided and undivided."""
    relation = style.relation(
        results.correlation(COMPLEXITY, NOISE_VARIANCE),
        "Relative to how images differ, noise changes complex concepts more",
        "Relative to how images differ, noise changes complex concepts less",
    )
    undivided = results.correlation(COMPLEXITY, NOISE_VARIANCE_UNDIVIDED)
    return (
        f"{relation} (Variance of a concept's code under noise, over that between images, mean "
        f"over the σ. Undivided, as in the paper: {style.correlation_text(undivided)}; complex "
        "concepts of small variance then change little.)"
    )


def _against_complexity(results: Results, ax: Axes, dataset: Dataset, label: str) -> Axes:
    """Draw a quantity of the living concepts against their complexity."""
    complexity = results.living[COMPLEXITY.column].to_numpy()
    style.points(ax, complexity, results.living[dataset.column].to_numpy())
    title = style.title(results.correlation(COMPLEXITY, dataset))
    ax.set(xlabel=COMPLEXITY_LABEL, ylabel=label, xlim=(0, 1), title=title)
    return ax


def _first_epoch(results: Results) -> tuple[int, np.ndarray, np.ndarray, Estimate]:
    """Return the first epoch of the training whose own concepts were found, and these.

    Their complexity and importance, (own concepts,), and the correlation of the two.
    """
    epochs = results.read(OWN_EPOCHS)
    index = np.flatnonzero(epochs > 0)[0]
    complexity = results.read(OWN_COMPLEXITY)[index]
    importance = results.read(OWN_IMPORTANCE)[index]
    living = np.isfinite(complexity)
    # They are fitted as the final ones are: so many to each class, in the same order.
    cluster = (
        results.concepts[CLASS.column].to_numpy() if len(living) == len(results.concepts) else None
    )
    correlation = spearman(complexity, importance, cluster=cluster)
    return int(epochs[index]), complexity[living], importance[living], correlation


def _levels(results: Results, ax: Axes, dataset: Dataset, names: list[str], title: str) -> None:
    """Draw a quantity against complexity for each of several levels: (levels, K)."""
    colours = style.scale_of_marks()(np.linspace(0.85, 0, len(names)))
    complexity = results.living[COMPLEXITY.column].to_numpy()
    living = results.concepts[ALIVE.column].to_numpy()
    for level, values in enumerate(results.read(dataset)):
        style.points(
            ax,
            complexity,
            values[living],
            c=[colours[level]],
            marker=style.SHAPES[level % len(style.SHAPES)],
            label=names[level],
        )
    style.legend_beside(ax, title)
