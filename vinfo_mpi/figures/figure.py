"""A figure of a run: what it reads, how it is drawn, what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vinfo_mpi import registry
from vinfo_mpi.errors import InputError
from vinfo_mpi.figures import style, themed
from vinfo_mpi.figures.paper import USUAL, Paper
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.tables import Results
from vinfo_mpi.results.written_by import stage_of
from vinfo_mpi.storage.atomic import writing

if TYPE_CHECKING:
    import matplotlib.figure
    from matplotlib.axes import Axes

# What would differ each time that the same figure is written: times and versions are left out.
WITHOUT_TIME = {"pdf": {"CreationDate": None}, "png": {"Software": None}}


@dataclass(frozen=True)
class Figure:
    """One figure: it answers one question about a run.

    Attributes
    ----------
    name, title : str
        What it is called in files and commands, and above it.
    reads : tuple of Dataset
        The datasets of results.h5 that it needs.
    draw : Callable[[Results, Axes], Axes]
        Draws a panel on axes and returns these; takes the options of `panels`, by default those of
        the first.
    sentence : Callable[[Results], str]
        What to see in it, with its numbers: n, correlations, standard errors.
    size : tuple of float
        Width and height in inches.
    setting : str
        What has to be set, as after ``--set``, for the stage to write what it needs.
    panels : tuple of mappings
        Options of `draw` for each panel of the whole figure, from left to right.
    """

    name: str
    title: str
    reads: tuple[Dataset, ...]
    draw: Callable[..., Axes]
    sentence: Callable[[Results], str]
    size: tuple[float, float] = (style.ONE_COLUMN, 2.3)
    setting: str = ""
    panels: tuple[Mapping[str, Any], ...] = ({},)

    @property
    def stages(self) -> set[str]:
        """The stages that write what it needs."""
        return {stage_of(dataset) for dataset in self.reads}

    def command(self, results: Results) -> str | None:
        """Return the command that adds what it needs to a run's results, None if all is there."""
        for dataset in self.reads:
            if dataset not in results:
                stage = stage_of(dataset)
                setting = f" --set {self.setting}" if self.setting.startswith(f"{stage}.") else ""
                return f"python -m {registry.command(stage)}{setting}"
        return None

    def whole(self, results: Results, paper: Paper = USUAL) -> matplotlib.figure.Figure:
        """Return it with all its panels, a letter above each, in the style of a paper.

        Raises
        ------
        InputError
            If it was not computed.
        """
        from matplotlib import rcParams
        from matplotlib.figure import Figure as Drawn
        from matplotlib.style import context

        self.check(results)
        with context(paper.look, after_reset=True):
            drawn = Drawn(figsize=paper.size(self.size), layout="constrained")
            axes = drawn.subplots(1, len(self.panels), squeeze=False, subplot_kw=_shown())[0]
            for ax, options in zip(axes, self.panels, strict=True):
                self.draw(results, ax, **options)
            if len(axes) > 1:
                style.letter(axes)
            for ax in drawn.axes:  # ticks are made when the figure is shown: outside this style
                ax.tick_params(labelsize=rcParams["xtick.labelsize"])
        return drawn

    def panel(self, results: Results, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw one panel on given axes, or on some of its own, and return these.

        Raises
        ------
        InputError
            If it was not computed.
        """
        self.check(results)
        return self.draw(results, ax or self._axes(), **options)

    def on_page(self, results: Results) -> list[themed.Panel]:
        """Return its panels as SVG with the colours and the type of a page.

        Raises
        ------
        InputError
            If it was not computed.
        """
        self.check(results)
        return [
            themed.panel(partial(self.draw, results, **options), f"{self.name}-{number}")
            for number, options in enumerate(self.panels)
        ]

    def save(self, results: Results, folder: Path, paper: Paper = USUAL) -> list[Path]:
        """Write it with all its panels, as PDF and as PNG, and return the files.

        Raises
        ------
        InputError
            If it was not computed, or the folder cannot be written to.
        """
        from matplotlib.style import context

        drawn = self.whole(results, paper)
        paths = []
        for kind, metadata in WITHOUT_TIME.items():
            path = folder / f"{self.name}.{kind}"
            with writing(path), context(paper.look, after_reset=True):
                path.parent.mkdir(parents=True, exist_ok=True)
                drawn.savefig(path, dpi=style.DPI, metadata=metadata, facecolor="white")
            paths.append(path)
        return paths

    def check(self, results: Results) -> None:
        """Raise `InputError` where a run has not computed it."""
        command = self.command(results)
        if command is not None:
            raise InputError(f"{results.path} has no figure '{self.name}' yet; {command} adds it")

    def _axes(self) -> Axes:
        """Return axes for one panel."""
        from matplotlib.figure import Figure as Drawn

        size = (style.ONE_COLUMN, self.size[1])
        return Drawn(figsize=size, layout="constrained").subplots(subplot_kw=_shown())


def _shown() -> dict[str, Any]:
    """Return the class of our axes, as subplots takes it; matplotlib is imported here."""
    from vinfo_mpi.figures.shown import Shown

    return {"axes_class": Shown}
