"""Width and type size of figures for a paper: those of a venue, or chosen freely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from vinfo_mpi.figures import style

SERIF = ("Times New Roman", "Nimbus Roman", "TeX Gyre Termes", "STIXGeneral", "DejaVu Serif")
SANS = ("Arial", "Helvetica", "Nimbus Sans", "Liberation Sans", "DejaVu Sans")
FONT = 8.0  # points, what the sizes of `style.PAPER` go with


@dataclass(frozen=True)
class Paper:
    """Widths and type of figures.

    Attributes
    ----------
    column, page : float
        Inches: of a figure of one panel, of one with several.
    font : float
        Points.
    family : "serif", "sans-serif" or None
        None: matplotlib's own.
    """

    column: float = style.ONE_COLUMN
    page: float = style.TWO_COLUMNS
    font: float = FONT
    family: Literal["serif", "sans-serif"] | None = None

    def size(self, usual: tuple[float, float]) -> tuple[float, float]:
        """Return width and height in inches of a figure of a usual size."""
        width, height = usual
        wide = self.page if width > style.ONE_COLUMN else self.column
        return wide, height * max(wide / width, self.font / FONT)

    @property
    def look(self) -> dict[str, Any]:
        """The settings of matplotlib."""
        look = {
            name: value * self.font / FONT if name.endswith("size") else value
            for name, value in style.PAPER.items()
        }
        if self.family is not None:
            fonts = SERIF if self.family == "serif" else SANS
            look |= {"font.family": self.family, f"font.{self.family}": list(fonts)}
        if self.family == "serif":
            look["mathtext.fontset"] = "stix"
        return look


USUAL = Paper()
# Column and text block in inches: of the conferences as \columnwidth and \textwidth of their style
# files say (also listed by TUEplots, github.com/pnkraemer/tueplots, figsizes.py; NeurIPS has one
# column, and half of it less a gap is ours), of Nature as its figure guide says (89 and 183 mm, in
# type of 5 to 7 points; research-figure-guide.nature.com).
VENUES = {
    "neurips": Paper(2.7, 5.5, 8, "serif"),
    "icml": Paper(3.25, 6.75, 8, "serif"),
    "cvpr": Paper(3.28, 6.875, 8, "serif"),
    "nature": Paper(89 / 25.4, 183 / 25.4, 7, "sans-serif"),
}


def paper(venue: str | None = None, width: float | None = None, font: float | None = None) -> Paper:
    """Return the paper that the settings `figures` ask for.

    Parameters
    ----------
    venue : str, optional
        One of `VENUES`.
    width : float, optional
        Inches of a figure with several panels; one of a single panel has at most its usual width.
    font : float, optional
        Points.
    """
    chosen = Paper() if venue is None else VENUES[venue]
    page = width or chosen.page
    return Paper(min(chosen.column, page), page, font or chosen.font, chosen.family)
