"""Hook of mkdocs: explore.py as a page, cell by cell, with what it prints and draws.

Printed text and figures are those of a run: of VINFO_RUN, else of runs/quickstart. Where there is
none, the page says so.
"""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import chdir, redirect_stdout
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
CELL = re.compile(r"^# %% ", re.MULTILINE)
COMMENT = re.compile(r".*\n(?:# .*\n)*")  # that a cell begins with
WITHOUT_A_RUN = (
    "!!! note\n"
    "    This site was built without a run. Make the sample (`vinfo`) and build it again to see "
    "what the cells print and draw.\n"
)


def on_files(files: Files, config: Any) -> Files:
    """Add the page and its figures."""
    run = Path(os.environ.get("VINFO_RUN", ROOT / "runs/quickstart")).resolve()
    text, figures = page(run if run.exists() else None)
    for name, figure in figures.items():
        files.append(File.generated(config, name, content=figure))
    files.append(File.generated(config, "explore.md", content=text))
    return files


def page(run: Path | None) -> tuple[str, dict[str, bytes]]:
    """Return the Markdown of the page, and its figures as PNG by their names."""
    docstring, *cells = CELL.split((ROOT / "docs/explore.py").read_text())
    title = docstring.strip('" \n').partition("\n")[0].rstrip(".")
    parts = [f"# {title}", *([WITHOUT_A_RUN] if run is None else [])]
    figures: dict[str, bytes] = {}
    names: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for cell in cells:
            comment = re.match(COMMENT, cell)[0]
            code = cell.removeprefix(comment)
            parts += [comment.replace("\n# ", " "), _fenced("python", code)]
            if run is None:
                continue
            os.environ["VINFO_RUN"] = str(run)
            parts.append(_fenced("text", _printed(code, names)))
            for figure in _drawn():
                name = f"explore_{len(figures) + 1}.png"
                figures[name] = figure
                parts.append(f"![What the cell draws]({name})\n")
    return "\n".join(parts), figures


def _printed(code: str, names: dict[str, Any]) -> str:
    """Run a cell; return what it prints."""
    printed = StringIO()
    with mpl.rc_context({"backend": "Agg"}), redirect_stdout(printed):
        exec(code, names)
    return printed.getvalue()


def _drawn() -> list[bytes]:
    """Return the figures that a cell has left open, as PNG, and close them."""
    figures = []
    for number in plt.get_fignums():
        content = BytesIO()
        plt.figure(number).savefig(content, format="png", dpi=100)
        figures.append(content.getvalue())
    plt.close("all")
    return figures


def _fenced(language: str, text: str) -> str:
    """Return a block of code, nothing for an empty one."""
    return f"```{language}\n{text.rstrip()}\n```\n" if text.strip() else ""
