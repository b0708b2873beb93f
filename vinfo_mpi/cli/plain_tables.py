"""Headings and tables for the terminal, in colours or plain; brackets in them are not markup."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

WIDE = 1000  # columns, where no terminal limits a line: no description is broken


def plain(content: RenderableType) -> str:
    """Return content as text without colours, no line of which is broken or ends in blanks."""
    text = io.StringIO()
    Console(file=text, width=WIDE, color_system=None).print(content, highlight=False)
    return "\n".join(line.rstrip() for line in text.getvalue().rstrip().split("\n"))


def heading(text: str) -> Text:
    """Return a line in bold, after a blank one."""
    return Text(f"\n{text}", style="bold")


def pairs(values: Iterable[tuple[str, Any]]) -> Table:
    """Return names and values, a pair a line."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in values:
        table.add_row(Text(name, style="dim"), Text(str(value)))
    return table


def table(heads: Iterable[str], rows: Iterable[Iterable[str]], right: Iterable[int] = ()) -> Table:
    """Return a table of plain text; `right` are the columns that are flush right."""
    flush_right = set(right)
    drawn = Table(box=box.SIMPLE_HEAD, padding=0)
    for place, head in enumerate(heads):
        justify = "right" if place in flush_right else "left"
        drawn.add_column(
            head,
            justify=justify,  # type: ignore[arg-type]
            overflow="fold",
            no_wrap=place == 0,  # names stay whole
        )
    for row in rows:
        drawn.add_row(*map(Text, row))
    return drawn
