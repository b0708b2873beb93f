"""Figure of what the complexity of every concept consists of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vinfo_mpi.figures import style
from vinfo_mpi.results.schema import COMPLEXITY, PARTS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from vinfo_mpi.results.tables import Results

COLOURS = (style.DARK, style.LIGHT, style.OTHERS[2])


def draw_parts(results: Results, ax: Axes) -> Axes:
    """What does the complexity consist of? Its parts, a bar per concept, by rising complexity."""
    concepts = results.living.sort_values(COMPLEXITY.column)
    edges = 0.5 + np.arange(len(concepts) + 1)
    below = np.zeros(len(concepts))
    for dataset, colour in zip(PARTS, COLOURS, strict=True):
        above = below + concepts[dataset.column].to_numpy()
        # Steps, not bars: one shape for all concepts, of which there may be 10,000.
        ax.stairs(
            above,
            edges,
            baseline=below,
            fill=True,
            color=colour,
            label=dataset.column,
            rasterized=len(concepts) > style.MANY,
        )
        below = above
    ax.set(xlabel="concepts by rank of complexity", ylabel="complexity K", ylim=(0, 1))
    ax.set_xlim(edges[0], edges[-1])
    style.legend_above(ax, columns=len(PARTS))
    return ax


def say_parts(results: Results) -> str:
    """Return how large the parts are, and by which of them concepts differ in complexity."""
    concepts = results.living
    estimates = {dataset.column: results.mean(dataset) for dataset in PARTS}
    means = [
        f"{style.number(mean.value, mean.standard_error)} {name}"
        for name, mean in estimates.items()
    ]
    over = style.errors_over(results.mean(COMPLEXITY))
    shares = [f"{share:+.2f} {name}" for name, share in shares_of_variance(concepts).items()]
    return (
        f"The mean complexity of {len(concepts)} living concepts is {', '.join(means)} ({over}): "
        "what no tap makes readable, what becomes readable late, what is readable and then "
        "discarded. "
        f"Of the variance of K over the concepts, the parts hold {', '.join(shares)}."
    )


def shares_of_variance(concepts: pd.DataFrame) -> dict[str, float]:
    """Return cov(part, K) / var(K) over concepts for each part; they add up to 1."""
    complexity = concepts[COMPLEXITY.column]
    return {
        name: float(values.cov(complexity) / complexity.var())
        for name, values in _parts(concepts).items()
    }


def _parts(concepts: pd.DataFrame) -> dict[str, pd.Series]:
    return {dataset.column: concepts[dataset.column] for dataset in PARTS}
