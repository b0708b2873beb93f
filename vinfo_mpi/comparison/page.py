"""The page of a comparison: one file that opens anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vinfo_mpi.comparison import drawings, findings
from vinfo_mpi.comparison.findings import Comparison
from vinfo_mpi.figures import themed
from vinfo_mpi.storage.atomic import write_text


def write(comparison: Comparison, path: Path, attributes: Mapping[str, Any]) -> None:
    """Write the page with its style and figures inside."""
    environment = Environment(
        loader=PackageLoader("vinfo_mpi.comparison"), autoescape=True, undefined=StrictUndefined
    )
    assets = files("vinfo_mpi.pages").joinpath("assets")
    style = "".join(assets.joinpath(f"{name}.css").read_text() for name in ("report", "figures"))
    pairs = []
    for first, second in comparison.pairs:
        name = f"{first.label} and {second.label}"
        figures = {f"Layers of {name}": partial(drawings.draw_layers, comparison, first, second)}
        for concepts, other in ((first, second), (second, first)):
            title = f"Concepts of {concepts.label}"
            figures |= {
                f"{title} over depth": partial(drawings.draw_depth, comparison, concepts, other),
                f"{title}: complexity in {other.label}": partial(
                    drawings.draw_complexity, comparison, concepts, other
                ),
                f"{title}: partners in {other.label}": partial(
                    drawings.draw_matches, comparison, concepts, other
                ),
            }
        drawn = {title: Markup(themed.panel(draw, title).svg) for title, draw in figures.items()}
        pairs.append((name, findings.sentences(comparison, first, second), drawn))
    page = environment.get_template("compare.html").render(
        title=" and ".join(study.label for study in comparison.studies),
        style=Markup(style),
        runs={study.label: study.run.folder for study in comparison.studies},
        images=comparison.studies[0].images,
        pairs=pairs,
        attributes=attributes,
    )
    write_text(path, page)
