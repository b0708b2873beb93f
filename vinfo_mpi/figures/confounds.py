"""Figure of what may stand behind a correlation with complexity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vinfo_mpi.figures import style
from vinfo_mpi.results.schema import (
    CODE_VARIANCE,
    COMPLEXITY,
    CONFOUNDS,
    IMPORTANCE,
    LAST_TAP,
    TEMPORAL,
)
from vinfo_mpi.results.schema_analyses import (
    HOYER,
    NOISE_VARIANCE,
    NOISE_VARIANCE_UNDIVIDED,
    REDUNDANCY,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vinfo_mpi.numerics.bootstrap import Estimate
    from vinfo_mpi.results.dataset import Dataset
    from vinfo_mpi.results.tables import Results

MEASURED = {
    TEMPORAL: "temporal score",
    IMPORTANCE: "importance",
    REDUNDANCY: "redundancy",
    HOYER: "Hoyer sparsity",
    NOISE_VARIANCE_UNDIVIDED: "variance under noise",
    NOISE_VARIANCE: "... over that between images",
}
GIVEN: dict[str, tuple[Dataset, ...]] = {
    "as it is": (),
    "given variance": (CODE_VARIANCE,),
    "given V of the last tap": (LAST_TAP,),
    "given all four": tuple(CONFOUNDS),
}
COLOURS = (style.DARK, style.LIGHT, *style.OTHERS)


def draw_confounds(results: Results, ax: Axes) -> Axes:
    """What else goes with complexity, and what is left of a correlation without it?"""
    rows = [*CONFOUNDS.values(), *(MEASURED[dataset] for dataset in _measured(results))]
    heights = -np.arange(len(rows))
    for number, (label, given) in enumerate(GIVEN.items()):
        # The confounds themselves are shown as they are.
        correlations = [None if given else results.correlation(COMPLEXITY, d) for d in CONFOUNDS]
        correlations += [
            results.correlation(COMPLEXITY, dataset, given) for dataset in _measured(results)
        ]
        shown = [(row, each) for row, each in enumerate(correlations) if each is not None]
        ax.errorbar(
            [each.value for _, each in shown],
            [heights[row] + 0.27 - 0.18 * number for row, _ in shown],
            xerr=[each.standard_error for _, each in shown],
            fmt=style.SHAPES[number],
            color=COLOURS[number],
            elinewidth=0.8,
            label=label,
        )
    ax.axvline(0, color="black", linewidth=0.6)
    ax.set_yticks(heights, rows)
    ax.set(xlabel="Spearman's correlation with complexity K", xlim=(-1.05, 1.05))
    style.legend_above(ax, columns=len(GIVEN), narrow=1)
    return ax


def say_confounds(results: Results) -> str:
    """Return what goes with complexity, and what is left of the other correlations."""
    behind = {what: results.correlation(COMPLEXITY, dataset) for dataset, what in CONFOUNDS.items()}
    said = [f"{_number(correlation)} with {what}" for what, correlation in behind.items()]
    sentences = [
        f"Complexity correlates {', '.join(said)} "
        f"({style.errors_over(results.correlation(COMPLEXITY, CODE_VARIANCE))})."
    ]
    for dataset in _measured(results):
        whole = _number(results.correlation(COMPLEXITY, dataset))
        left = [
            f"{_number(results.correlation(COMPLEXITY, dataset, given))} {label}"
            for label, given in GIVEN.items()
            if given
        ]
        sentences.append(f"Its {whole} with {MEASURED[dataset]} is {', '.join(left)}.")
    return " ".join(sentences)


def _measured(results: Results) -> list[Dataset]:
    """Return what the run has measured beside complexity."""
    return [dataset for dataset in MEASURED if dataset in results]


def _number(correlation: Estimate) -> str:
    sign = "" if correlation.value < 0 else "+"
    return sign + style.number(correlation.value, correlation.standard_error)
