"""Figure of migration: the paths of concepts over the depth of the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vinfo_mpi.figures import style
from vinfo_mpi.figures.figure import Figure
from vinfo_mpi.numerics import bootstrap
from vinfo_mpi.numerics.arrays import evenly_spaced
from vinfo_mpi.results.schema import ALIVE, COMPLEXITY, TAPS
from vinfo_mpi.results.schema_migration import (
    CENTRE,
    DRIFT,
    EMERGENCE,
    KIND_NAMES,
    KIND_SHARE,
    LOCALISATION,
    MIGRATION_CHECKPOINTS,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vinfo_mpi.results.tables import Results

DRAWN = 60  # paths, evenly spaced by complexity: more would hide each other


def draw_migration(results: Results, ax: Axes) -> Axes:
    """Does a concept move through the network while it trains?

    Centre of the taps that each is available at, over the checkpoints, coloured by complexity; the
    mean over all living concepts beside them.
    """
    import matplotlib as mpl
    from matplotlib.colors import Normalize

    epochs = results.read(MIGRATION_CHECKPOINTS)
    complexity = results.living[COMPLEXITY.column]
    centre = results.read(CENTRE)[:, results.concepts[ALIVE.column]]
    order = np.argsort(complexity.to_numpy(), kind="stable")
    chosen = order[evenly_spaced(len(order), DRAWN)]
    scale = mpl.cm.ScalarMappable(Normalize(complexity.min(), complexity.max()), style.SCALE)
    for concept in chosen:
        colour = scale.to_rgba(complexity.iloc[concept])
        ax.plot(epochs, centre[:, concept], color=colour, linewidth=0.5, alpha=0.6)
    there = np.isfinite(centre).any(1)  # at an epoch before any concept there is no mean
    ax.plot(epochs[there], np.nanmean(centre[there], axis=1), "k-", linewidth=2, label="mean")
    ax.set_yticks(*style.thinned(results.names(TAPS), 8))
    ax.set(xlabel="epoch", ylim=(-0.3, len(results.names(TAPS)) - 0.7))
    style.legend_above(ax)
    ax.figure.colorbar(scale, ax=ax, label="complexity K")
    return ax


def say_migration(results: Results) -> str:
    """Return how far the concepts drift, how many of each kind there are, when they emerge."""
    living = results.living
    drift = bootstrap.mean(living[DRIFT.column].to_numpy(), results.classes_of_living)
    shares, errors = results.read_with_error(KIND_SHARE)
    kinds = [
        f"{style.number(100 * share, 100 * error)} % {name}"
        for name, share, error in zip(results.names(KIND_NAMES), shares, errors, strict=True)
    ]
    return (
        f"Of {len(living)} concepts, {', '.join(kinds)}. From the first third of their lives to "
        f"the last, their centres drift by {style.number(drift.value, drift.standard_error)} taps "
        f"(negative: towards the input; {style.errors_over(drift)}). Half of them have emerged by "
        f"epoch {np.nanmedian(living[EMERGENCE.column]):.0f}; the median localisation is "
        f"{np.nanmedian(living[LOCALISATION.column]):.2f} (1 = at one tap, 0 = at all alike)."
    )


MIGRATION_FIGURE = Figure(
    "migration",
    "Paths of the concepts over the depth",
    (
        *(ALIVE, COMPLEXITY, TAPS, MIGRATION_CHECKPOINTS, CENTRE),
        *(KIND_NAMES, KIND_SHARE, KIND_SHARE.se, DRIFT, EMERGENCE, LOCALISATION),
    ),
    draw_migration,
    say_migration,
    size=(style.TWO_COLUMNS, 2.6),
)
