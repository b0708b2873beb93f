"""Figure of how much each super-class rests on each meta-feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vinfo_mpi.figures import style
from vinfo_mpi.figures.concepts import COMPLEXITY_LABEL, IMPORTANCE_LABEL
from vinfo_mpi.figures.figure import Figure
from vinfo_mpi.numerics.correlation import spearman
from vinfo_mpi.results.schema import ALIVE, CLASS, COMPLEXITY
from vinfo_mpi.results.schema_metafeatures import (
    CLUSTER,
    CLUSTER_SIZE,
    SUPER_IMPORTANCE,
    SUPER_LEAVES,
    SUPER_NAMES,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vinfo_mpi.results.tables import Results


def draw_super_classes(results: Results, ax: Axes) -> Axes:
    """Which meta-features do the super-classes rest on?

    Mean importance of the meta-feature's concepts for the super-class's images.
    """
    order = results.read(SUPER_LEAVES)
    importance = pd.DataFrame(results.read(SUPER_IMPORTANCE)[order]).T
    clusters = results.living[CLUSTER.column]
    means = importance.loc[clusters.index].groupby(clusters).mean()
    means = means.reindex(range(len(results.read(CLUSTER_SIZE))))
    image = ax.imshow(means.T, aspect="auto", vmin=0, cmap=style.SCALE, interpolation="nearest")
    names = results.names(SUPER_NAMES)
    ax.set_yticks(*style.thinned([names[number] for number in order], 16))
    ax.set(xlabel=f"meta-features by their mean {COMPLEXITY_LABEL}", xticks=[])
    ax.spines[:].set_visible(False)
    ax.figure.colorbar(image, ax=ax, label=f"mean {IMPORTANCE_LABEL}")
    return ax


def say_super_classes(results: Results) -> str:
    """Return what matters most for a super-class, and how it goes with complexity for each."""
    living = results.concepts[ALIVE.column].to_numpy()
    complexity = results.living[COMPLEXITY.column].to_numpy()
    names = results.names(SUPER_NAMES)
    of_all, errors_of_all = results.read_with_error(SUPER_IMPORTANCE)
    means = of_all[:, living]
    errors = errors_of_all[:, living]
    # One without images has no importances.
    known = np.flatnonzero(np.isfinite(means).all(axis=1))
    top, concept = divmod(int(np.nanargmax(means)), means.shape[1])

    def correlation_of(number: int) -> str:
        estimate = spearman(complexity, means[number], cluster=results.classes_of_living)
        return f"{style.correlation_text(estimate)} ({names[number]})"

    # The bootstrap takes seconds where there are 10,000 concepts: of the two ends only.
    ranked = pd.DataFrame(means[known].T).corrwith(pd.Series(complexity), method="spearman")
    ranked = ranked.fillna(0)  # undefined where all are alike, which the sentence then says
    ends = dict.fromkeys(known[[ranked.argmin(), ranked.argmax()]])
    return (
        f"Importance of {living.sum()} living concepts for the images of {len(names)} "
        "super-classes. The largest is that of concept "
        f"{results.living.index[concept]} for {names[top]}: "
        f"{style.number(means[top, concept], errors[top, concept])} logits (± over the images). "
        "Complexity and importance, lowest and highest of the super-classes: "
        f"{'; '.join(correlation_of(number) for number in ends)}."
    )


SUPER_CLASSES_FIGURE = Figure(
    "super_classes",
    "What super-classes rest on",
    (
        *(ALIVE, COMPLEXITY, CLASS, CLUSTER, CLUSTER_SIZE),
        *(SUPER_NAMES, SUPER_LEAVES, SUPER_IMPORTANCE, SUPER_IMPORTANCE.se),
    ),
    draw_super_classes,
    say_super_classes,
    size=(style.TWO_COLUMNS, 2.0),
    setting="metafeatures.super_classes=FILE",
)
