"""python -m vinfo_mpi without figures, which are made from files and take long.

Nor are there any where this is imported.
"""

from typing import Any

from vinfo_mpi.figures.figure import Figure
from vinfo_mpi.figures.themed import Panel

EMPTY = Panel("<svg></svg>", (0.0, 0.0, 1.0, 1.0), (0.0, 1.0, 0.0, 1.0))


def save(*_: Any) -> list[Any]:
    """Take the place of writing a figure's files."""
    return []


def on_page(*_: Any) -> list[Panel]:
    """Take the place of drawing a figure for a page."""
    return [EMPTY]


Figure.save = save
Figure.on_page = on_page

if __name__ == "__main__":
    from vinfo_mpi.cli import command

    command.main(None, None)
