"""The questions that a report's figures answer, group by group."""

from __future__ import annotations

from dataclasses import dataclass

from vinfo_mpi.figures import catalogue
from vinfo_mpi.figures.themed import Panel
from vinfo_mpi.results.tables import Results

GROUPS = {  # of figures, by the question
    "How complex are they?": ("parts", "complexity", "vinformation"),
    "When are they learned?": ("complexity_temporal", "epochs"),
    "What are they used for?": ("map", "metafeatures", "super_classes"),
    "What does the decision rest on?": (
        "complexity_importance",
        "complexity_importance_first",
        "support",
        "audit",
    ),
}
REST = "Everything else"
# What the axes of a figure in which concepts are pointed at are: columns, or their rank; "" where
# any height will do.
AXES = {
    "parts": ("rank", ""),
    "vinformation": ("rank", ""),
    "complexity_temporal": ("complexity", "temporal"),
    "complexity_importance": ("complexity", "importance"),
    "map": ("map_x", "map_y"),
}


@dataclass(frozen=True)
class Figure:
    """A figure on the index.

    Attributes
    ----------
    name : str
        Of its files in figures/.
    title : str
    sentence : str
        What to see in it.
    panels : tuple of Panel
    number : int
        Counted over the page.
    """

    name: str
    title: str
    sentence: str
    panels: tuple[Panel, ...]
    number: int

    @property
    def axes(self) -> tuple[str, str]:
        """Description of its axes where concepts can be pointed at, else empty."""
        return AXES.get(self.name, ("", ""))


@dataclass(frozen=True)
class Group:
    """Figures that answer one question.

    Attributes
    ----------
    title : str
    figures : tuple of Figure
    folded : bool
        Whether it has to be opened.
    """

    title: str
    figures: tuple[Figure, ...]
    folded: bool = False


def groups(results: Results) -> list[Group]:
    """Return the groups that have figures; draw these."""
    available = {figure.name: figure for figure in catalogue.available(results)}
    named = {name for names in GROUPS.values() for name in names}
    rest = [name for name in available if name not in named]
    made: list[Group] = []
    number = 0
    for title, names in (*GROUPS.items(), (REST, rest)):
        there = [available[name] for name in names if name in available]
        figures = tuple(
            Figure(
                name=figure.name,
                title=figure.title,
                sentence=figure.sentence(results),
                panels=tuple(figure.on_page(results)),
                number=number + place,
            )
            for place, figure in enumerate(there, start=1)
        )
        number += len(figures)
        if figures:
            made.append(Group(title, figures, folded=title == REST))
    return made
