"""The figures of a run, in the order of the report: what each shows, in words too, and which stage computes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vinfo_mpi import registry
from vinfo_mpi.errors import InputError, choices
from vinfo_mpi.figures import concepts as concepts
from vinfo_mpi.figures import curves as curves
from vinfo_mpi.figures import style

if TYPE_CHECKING:
    import matplotlib.figure
    from matplotlib.axes import Axes

    from vinfo_mpi.results.tables import Results

MADE_BY = {"concepts/complexity": "score", "concepts/importance": "importance"}  # what several figures read beside their own


@dataclass(frozen=True)
class Figure:
    """One figure: it answers one question about a run.

    Attributes
    ----------
    name, title : str
        What it is called in files and commands, and above it.
    stage : str
        The stage that computes what it shows.
    reads : tuple of str
        The datasets of results.h5 that it needs.
    draw : Callable[[Results, Axes], Axes]
        Draws a panel on axes and returns these; takes the options of `panels`, by default those of the first.
    sentence : Callable[[Results], str]
        What to see in it, with its numbers: n, correlations, standard errors.
    size : tuple of float
        Width and height in inches.
    panels : tuple of mappings
        Options of `draw` for each panel of the whole figure, from left to right.
    """

    name: str
    title: str
    stage: str
    reads: tuple[str, ...]
    draw: Callable[..., Axes]
    sentence: Callable[[Results], str]
    size: tuple[float, float] = (style.ONE_COLUMN, 2.3)
    panels: tuple[Mapping[str, Any], ...] = ({},)

    def alternative(self, results: Results) -> str:
        """Return the text for those who do not see it."""
        return f"{self.title}. {self.sentence(results)}"

    def command(self, results: Results) -> str | None:
        """Return the command that adds what it needs to a run's results, None where all is there."""
        lacking = [name for name in self.reads if name not in results.datasets]
        return f"python -m {registry.module(MADE_BY.get(lacking[0], self.stage))}" if lacking else None

    def whole(self, results: Results) -> matplotlib.figure.Figure:
        """Return it with all its panels, in the style of a paper; raise `InputError` where it was not computed."""
        from matplotlib import rcParams
        from matplotlib.figure import Figure as Drawn
        from matplotlib.style import context

        self.check(results)
        with context(style.PAPER, after_reset=True):
            drawn = Drawn(figsize=self.size, layout="constrained")
            for ax, options in zip(drawn.subplots(1, len(self.panels), squeeze=False)[0], self.panels, strict=True):
                self.draw(results, ax, **options)
            for ax in drawn.axes:  # ticks are made when the figure is shown: outside this style
                ax.tick_params(labelsize=rcParams["xtick.labelsize"])
        return drawn

    def check(self, results: Results) -> None:
        """Raise `InputError` where a run has not computed it."""
        if command := self.command(results):
            raise InputError(f"{results.path} has no figure '{self.name}' yet; {command} adds it")


_SCORED = ("concepts/alive", "concepts/complexity")
_FLOW = tuple(f"flow/{end}_{branch}_{measure}{ending}" for end in ("simple", "complex") for branch in ("shortcut", "main")
              for measure in curves.MEASURES for ending in ("", "_se"))  # fmt: skip
_EPOCHS = tuple(f"sedimentation/{name}" for name in ("epochs", "complexity", "importance"))
_CURVES = tuple(f"sedimentation/{name}_complexity{ending}" for name in ("mean", "top") for ending in ("", "_se"))
_SPECTRUM = ("checkpoints", "taps", "significant", "effective_dimension", "effective_dimension_se", "laziness", "laziness_se")

FIGURES: dict[str, Figure] = {
    one.name: one
    for one in (
        Figure("complexity", "Distribution of complexity", "score", _SCORED, concepts.draw_complexity, concepts.say_complexity),
        Figure("vinformation", "Where concepts become available", "score", (*_SCORED, "vinformation", "taps"),
               concepts.draw_vinformation, concepts.say_vinformation, (style.TWO_COLUMNS, 2.4)),
        Figure("complexity_importance", "Complexity and importance, final network", "importance",
               (*_SCORED, "concepts/importance"), concepts.draw_complexity_importance, concepts.say_complexity_importance),
        Figure("complexity_importance_first", "Complexity and importance, first epoch", "sedimentation", _EPOCHS,
               concepts.draw_complexity_importance_first, concepts.say_complexity_importance_first),
        Figure("complexity_temporal", "Complexity and when concepts are learned", "dynamics", (*_SCORED, "concepts/temporal"),
               concepts.draw_complexity_temporal, concepts.say_complexity_temporal),
        Figure("epochs", "Complexity over the training", "sedimentation", (*_EPOCHS, *_CURVES),
               curves.draw_epochs, curves.say_epochs),
        Figure("flow", "How concepts travel through the residual blocks", "flow", (*_SCORED, "flow/blocks", *_FLOW),
               curves.draw_flow, curves.say_flow, (style.TWO_COLUMNS, 2.6),
               ({"measure": "cka"}, {"measure": "vinformation", "key": False})),
        Figure("redundancy", "Complexity and redundancy", "redundancy",
               (*_SCORED, "concepts/redundancy", "redundancy/values", "redundancy/rates"),
               concepts.draw_redundancy, concepts.say_redundancy),
        Figure("robustness", "Complexity and robustness to noise", "robustness",
               (*_SCORED, "concepts/noise_variance", "robustness/variance", "robustness/sigmas"),
               concepts.draw_robustness, concepts.say_robustness),
        Figure("support", "How many concepts the decisions need", "support",
               ("support/orders", "support/proportions", "support/relative", "support/relative_se"),
               curves.draw_support, curves.say_support, (style.ONE_COLUMN, 2.6)),
        Figure("map", "Map of the concepts", "metafeatures",
               (*_SCORED, "concepts/importance", "concepts/class", "concepts/map_x", "concepts/map_y"),
               concepts.draw_map, concepts.say_map, (style.TWO_COLUMNS, 1.75),
               ({"colour": "complexity"}, {"colour": "importance"}, {"colour": "class"})),
        Figure("spectrum", "Spectrum of the last tap over the training", "spectrum",
               tuple(f"spectrum/{name}" for name in (*_SPECTRUM, *curves.SPECTRA)),
               curves.draw_spectrum, curves.say_spectrum, (style.TWO_COLUMNS, 2.1),
               ({"curve": "eigenvalues", "key": False}, {"curve": "cumulated_utilisation", "key": False},
                {"curve": "cumulated_quality"})),
    )
}  # fmt: skip


def available(results: Results) -> list[Figure]:
    """Return the figures whose datasets a run has, in the order of the report."""
    return [one for one in FIGURES.values() if one.command(results) is None]


def missing(results: Results) -> list[Figure]:
    """Return the figures that a run has not computed; `command` says how."""
    return [one for one in FIGURES.values() if one.command(results) is not None]


def write(results: Results, folder: str | Path, names: Iterable[str] | None = None) -> list[Path]:
    """Write figures as <name>.pdf, vectors with their fonts, and <name>.png; the same results give the same bytes.

    Parameters
    ----------
    results : Results
    folder : str or Path
        Made where it is not there.
    names : iterable of str, optional
        Which ones; default: all that were computed.

    Returns
    -------
    list of Path
        The files, figure by figure.

    Raises
    ------
    InputError
        If there is no figure of a name, or it was not computed, or the folder cannot be written to.
    """
    from matplotlib.style import context

    from vinfo_mpi.storage.atomic import writing

    paths = []
    for figure in available(results) if names is None else [_named(name) for name in names]:
        drawn = figure.whole(results)
        for path in (Path(folder) / f"{figure.name}.{kind}" for kind in ("pdf", "png")):
            metadata = {"CreationDate": None} if path.suffix == ".pdf" else {"Software": None}
            with writing(path), context(style.PAPER, after_reset=True):
                path.parent.mkdir(parents=True, exist_ok=True)
                drawn.savefig(path, dpi=style.DPI, metadata=metadata)
            paths.append(path)
    return paths


class Plots:
    """The figures of one run: ``plots.<name>(ax)``; see `FIGURES` for the names. matplotlib is imported when one is drawn."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def __dir__(self) -> list[str]:
        return list(FIGURES)

    def __getattr__(self, name: str) -> Callable[..., Axes]:
        if name.startswith("_") or name not in FIGURES:
            raise AttributeError(f"no figure '{name}'; {choices(name, FIGURES)}")
        figure, results = FIGURES[name], self._results

        def plot(ax: Axes | None = None, **options: Any) -> Axes:
            if ax is None and not options:
                return figure.whole(results).axes[0]
            figure.check(results)
            return figure.draw(results, ax or _axes(figure), **options)

        plot.__name__, plot.__doc__ = name, figure.draw.__doc__
        return plot


def _named(name: str) -> Figure:
    if name not in FIGURES:
        raise InputError(f"there is no figure '{name}'; {choices(name, FIGURES)}")
    return FIGURES[name]


def _axes(figure: Figure) -> Axes:
    from matplotlib.figure import Figure as Drawn

    return Drawn(figsize=(style.ONE_COLUMN, figure.size[1]), layout="constrained").subplots()
