"""Figures as SVG whose colours and type are those of the page that they stand in.

Every colour of `style` becomes a variable of CSS, black the colour of the text. Where an SVG holds
pixels, as a map of V-information does, these keep their colours, and so does what explains them.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vinfo_mpi.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (4.4, 3.0)  # inches of a panel: the width of a phone
# Text stays text; what would differ each time that the same figure is drawn is left out.
PAGE: Any = {
    **style.PAPER,
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "legend.fontsize": 9,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "svg.fonttype": "none",
    "savefig.dpi": 200,  # of pixels, where there are any: twice those of a screen
}
WITHOUT_TIME = {"Date": None, "Creator": None, "Format": None, "Type": None}
BLACK = "#000000"


@dataclass(frozen=True)
class Panel:
    """A panel of a figure on a page.

    Attributes
    ----------
    svg : str
        The element.
    box : tuple of float
        Left, top, right and bottom of its axes, as shares of its width and height.
    limits : tuple of float
        Of its axes: x from, x to, y from, y to.
    """

    svg: str
    box: tuple[float, float, float, float]
    limits: tuple[float, float, float, float]


def panel(draw: Callable[[Axes], Any], name: str, size: tuple[float, float] = SIZE) -> Panel:
    """Draw one.

    Parameters
    ----------
    draw : function of Axes
    name : str
        Different for each on a page: what it refers to within itself is named after it.
    size : tuple of float
        Width and height in inches.
    """
    from matplotlib.figure import Figure
    from matplotlib.style import context

    with context([PAGE, {"svg.hashsalt": name}], after_reset=True):
        figure = Figure(figsize=size, layout="constrained")
        ax = figure.subplots()
        draw(ax)
        for axes in figure.axes:  # ticks are made when it is saved, by the style of then
            axes.tick_params(labelsize=PAGE["xtick.labelsize"])
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata=WITHOUT_TIME, transparent=True)
    place = ax.get_position()
    return Panel(
        _themed(text.getvalue()),
        (place.x0, 1 - place.y1, place.x1, 1 - place.y0),
        (*ax.get_xlim(), *ax.get_ylim()),
    )


def _themed(drawn: str) -> str:
    """Return the element, with variables for colours and the page's type.

    What is written in it, which people have named, stays as it is: only tags are changed.
    """
    svg = drawn[drawn.index("<svg") :]
    for part in (r"<metadata>.*?</metadata>", r"<defs>\s*<style.*?</defs>", r"<!--.*?-->"):
        svg = re.sub(part, "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s*\n\s*", " ", svg)
    referred = set(re.findall(r'(?:url\(#|href="#)([^")]+)', svg))
    colours = _variables(marks="<image" not in svg)

    def themed(tag: re.Match[str]) -> str:
        changed = re.sub(
            r' id="([^"]+)"', lambda given: given[0] if given[1] in referred else "", tag[0]
        )
        changed = re.sub(r' (?:width|height)="[\d.]+pt"', "", changed)
        changed = re.sub(r"font: ([\d.]+px) [^;\"]+", r"font-size: \1", changed)
        changed = re.sub(r"font-family: [^;\"]+;?", "", changed)
        changed = re.sub(r' (?:d|x|y|transform)="[^"]+"', _rounded, changed)
        return re.sub(r"#[0-9a-f]{6}\b", lambda given: colours.get(given[0], given[0]), changed)

    svg = re.sub(r"<[^<>]+>", themed, svg)
    return svg.replace("<svg ", '<svg aria-hidden="true" ', 1)


def _rounded(attribute: re.Match[str]) -> str:
    """Return where something lies, to a hundredth of a point."""
    return re.sub(r"\d+\.\d{3,}", lambda given: f"{float(given[0]):.2f}", attribute[0])


def _variables(marks: bool) -> dict[str, str]:
    """Return the variable that stands for each colour, by its hexadecimal name."""
    from matplotlib.colors import to_hex

    named = {
        f"line-{number}": colour
        for number, colour in enumerate((style.DARK, style.LIGHT, *style.OTHERS))
    }
    named |= {f"class-{number}": colour for number, colour in enumerate(style.CLASSES)}
    named |= {"faint-line": style.FAINT}
    if marks:
        scale = style.scale_of_marks()
        named |= {f"scale-{level}": to_hex(scale(level)) for level in range(style.LEVELS)}
    variables = {
        to_hex(colour): f"var(--{name}, {to_hex(colour)})" for name, colour in named.items()
    }
    return variables | {BLACK: "currentColor"}
