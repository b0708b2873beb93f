"""Figures of a run's results: each answers one question and returns its axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from vinfo_mpi.results import Results


class Plots:
    """The figures of one run; matplotlib is imported when one is drawn."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def complexity(self, ax: Axes | None = None) -> Axes:
        """How complex are the concepts? Their distribution."""
        ax = _axes(ax)
        values = self._living["complexity"]
        ax.hist(values, bins=[edge / 40 for edge in range(41)], color="#4c72b0")
        ax.axvline(values.median(), color="0.3", linewidth=1)
        ax.set(
            xlabel="complexity K",
            ylabel="concepts",
            xlim=(0, 1),
            title=f"{len(values)} concepts, median {values.median():.2f}",
        )
        return ax

    def vinformation(self, ax: Axes | None = None) -> Axes:
        """Where in the network is each concept available? Taps against concepts from simple to complex."""
        ax = _axes(ax)
        order = self._living["complexity"].sort_values().index
        table = self._results.vinformation[order]
        image = ax.imshow(table, aspect="auto", origin="lower", vmin=0, vmax=1, cmap="magma", interpolation="nearest")
        ax.set(xlabel="concepts, from simple to complex", title="V-information")
        ax.set_yticks(range(len(table)), [str(name) for name in table.index], fontsize="small")
        ax.figure.colorbar(image, ax=ax)
        return ax

    def complexity_importance(self, ax: Axes | None = None) -> Axes:
        """Does the decision rest on simple concepts? Complexity against importance."""
        ax = self._scatter("complexity", "importance", ax)
        ax.set(xlabel="complexity K", ylabel="importance Γ")
        return ax

    def complexity_temporal(self, ax: Axes | None = None) -> Axes:
        """Are complex concepts learned later? Complexity against the temporal score."""
        ax = self._scatter("complexity", "temporal", ax)
        ax.set(xlabel="complexity K", ylabel="temporal score Λ")
        return ax

    @property
    def _living(self) -> pd.DataFrame:
        return self._results.concepts[self._results.concepts["alive"]]

    def _scatter(self, x: str, y: str, ax: Axes | None) -> Axes:
        ax = _axes(ax)
        living = self._living
        ax.scatter(living[x], living[y], s=12, c=living["class"], cmap="tab10", alpha=0.8)
        found = self._results.correlation(x, y)
        ax.set_title(f"Spearman {found.value:+.2f} ± {found.standard_error:.2f}, n = {found.n}")
        return ax


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]
