"""The figures of a run in Python: drawn where they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vinfo_mpi.errors import choices, require
from vinfo_mpi.figures.catalogue import FIGURES
from vinfo_mpi.results.tables import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Plots:
    """The figures of one run: ``plots.<name>(ax)``; see `FIGURES` for the names.

    matplotlib is imported when one is drawn.
    """

    def __init__(self, results: Results) -> None:
        require("a figure", "matplotlib")
        self._results = results

    def __dir__(self) -> list[str]:
        return list(FIGURES)

    def __getattr__(self, name: str) -> Callable[..., Axes]:
        if name.startswith("_") or name not in FIGURES:
            raise AttributeError(f"no figure '{name}'; {choices(name, FIGURES)}")
        figure = FIGURES[name]
        results = self._results

        def plot(ax: Axes | None = None, **options: Any) -> Axes:
            if ax is None and not options:
                return figure.whole(results).axes[0]
            return figure.panel(results, ax, **options)

        plot.__name__ = name
        plot.__doc__ = figure.draw.__doc__
        return plot
