"""Which atoms are alike, how complex, how important: meta-features, and the tree of concepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vinfo_mpi.figures import style
from vinfo_mpi.figures.concepts import COMPLEXITY_LABEL, IMPORTANCE_LABEL
from vinfo_mpi.numerics.correlation import spearman
from vinfo_mpi.results.schema import CLASS, COMPLEXITY, IMPORTANCE
from vinfo_mpi.results.schema_metafeatures import (
    CLUSTER,
    CLUSTER_COMPLEXITY,
    CLUSTER_SHOWN,
    CLUSTER_SIZE,
    CONCEPT_LINKAGE,
    TREE_CONCEPTS,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from vinfo_mpi.results.tables import Results

LABELS = {COMPLEXITY.column: COMPLEXITY_LABEL, IMPORTANCE.column: IMPORTANCE_LABEL}


def draw_metafeatures(results: Results, ax: Axes) -> Axes:
    """How complex and how important are clusters of like atoms? Some, by rising complexity."""
    shown = np.flatnonzero(results.read(CLUSTER_SHOWN))
    mean, error = results.read_with_error(CLUSTER_COMPLEXITY)
    places = np.arange(len(shown))
    ax.errorbar(places, mean[shown], error[shown], fmt="none", ecolor=style.FAINT, linewidth=0.8)
    importance = _mean_importance(results)[shown]
    marks = style.points(
        ax, places, mean[shown], c=importance, cmap=style.scale_of_marks(), alpha=1, s=12, zorder=3
    )
    ax.figure.colorbar(marks, ax=ax, label=f"mean {IMPORTANCE_LABEL}", pad=0.02)
    ax.set(xlabel="meta-features", ylabel=f"mean {COMPLEXITY_LABEL}", xticks=[], ylim=(0, 1))
    return ax


def say_metafeatures(results: Results) -> str:
    """Return how many are shown, and how complexity and importance go together over all."""
    shown = np.flatnonzero(results.read(CLUSTER_SHOWN))
    mean, error = results.read_with_error(CLUSTER_COMPLEXITY)
    sizes = results.read(CLUSTER_SIZE)
    ends = [style.number(mean[end], error[end]) for end in (shown[0], shown[-1])]
    known = np.isfinite(mean)
    over_all = spearman(mean[known], _mean_importance(results)[known])
    return (
        f"{len(shown)} of {len(mean)} clusters of atoms ({sizes.min()} to {sizes.max()} in each), "
        f"evenly spaced by mean complexity, from {' to '.join(ends)}. Mean complexity and mean "
        f"importance of all clusters: {style.correlation_text(over_all)}."
    )


def draw_tree(results: Results, ax: Axes, colour: str = COMPLEXITY.column) -> Axes:
    """Which concepts are alike? The tree of their atoms; colour: complexity or importance."""
    from matplotlib.collections import LineCollection
    from scipy.cluster.hierarchy import dendrogram

    tree = dendrogram(results.read(CONCEPT_LINKAGE), no_plot=True)
    links = np.dstack([tree["icoord"], tree["dcoord"]])  # (links, 4, 2)
    ax.add_collection(LineCollection(list(links), colors=style.FAINT, linewidths=0.4))
    ax.autoscale_view()
    values = _in_order_of_tree(results)[colour].to_numpy()
    places = 5 + 10 * np.arange(len(values))  # where SciPy puts the leaves
    marks = style.points(
        ax, places, np.zeros(len(values)), c=values, cmap=style.scale_of_marks(), alpha=1, zorder=3
    )
    ax.figure.colorbar(marks, ax=ax, label=LABELS[colour], pad=0.02)
    ax.set(xlabel="concepts", ylabel="cosine distance", xticks=[], xlim=(0, 10 * len(values)))
    return ax


def say_tree(results: Results) -> str:
    """Return whether neighbours in the tree are alike in complexity and importance."""
    table = _in_order_of_tree(results)
    group = table[CLASS.column].to_numpy()[1:]

    def of_neighbours(column: str) -> str:
        values = table[column].to_numpy()
        return style.correlation_text(spearman(values[:-1], values[1:], cluster=group))

    return (
        f"The tree of {len(table)} of {len(results.living)} living concepts by the cosine distance "
        "of their atoms. A concept and the next one in the tree: complexity, "
        f"{of_neighbours(COMPLEXITY.column)}; importance, {of_neighbours(IMPORTANCE.column)}."
    )


def _in_order_of_tree(results: Results) -> pd.DataFrame:
    """Return the concepts of the tree, in the order of its leaves."""
    from scipy.cluster.hierarchy import leaves_list

    numbers = results.read(TREE_CONCEPTS)
    return results.concepts.loc[numbers[leaves_list(results.read(CONCEPT_LINKAGE))]]


def _mean_importance(results: Results) -> np.ndarray:
    """Return the mean importance of the living concepts of every cluster: (clusters,)."""
    clusters = np.arange(len(results.read(CLUSTER_SIZE)))
    means = results.living.groupby(CLUSTER.column)[IMPORTANCE.column].mean()
    return means.reindex(clusters).to_numpy()
