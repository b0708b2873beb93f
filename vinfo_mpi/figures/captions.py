"""Figures as LaTeX places them, each with the sentence of its numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from vinfo_mpi.figures import style

if TYPE_CHECKING:
    from vinfo_mpi.figures.figure import Figure
    from vinfo_mpi.results.tables import Results

LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "±": r"$\pm$",
    "×": r"$\times$",
    "→": r"$\rightarrow$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "²": r"$^2$",
    "η": r"$\eta$",
    "σ": r"$\sigma$",
    "−": r"$-$",
    "…": r"\ldots{}",
    "|": r"$|$",
    "<": r"$<$",
    ">": r"$>$",
}


def captions(figures: Iterable[Figure], results: Results) -> str:
    """Return LaTeX: a figure environment for each; figure* for those as wide as the page."""
    return "\n".join(_environment(figure, results) for figure in figures)


def escaped(text: str) -> str:
    r"""Return text as LaTeX writes it; a minus before a number is one.

    >>> print(escaped("-0.68 ± 0.07 of 50 %, layer_1"))
    $-$0.68 $\pm$ 0.07 of 50 \%, layer\_1
    """
    text = re.sub(r"(?<![\w-])-(?=\d)", "−", text)
    return "".join(LATEX.get(letter, letter) for letter in text)


def _environment(figure: Figure, results: Results) -> str:
    kind = "figure*" if figure.size[0] > style.ONE_COLUMN else "figure"
    return (
        f"\\begin{{{kind}}}\n"
        "  \\centering\n"
        f"  \\includegraphics{{{figure.name}.pdf}}\n"
        f"  \\caption{{{escaped(figure.title)}. {escaped(figure.sentence(results))}}}\n"
        f"  \\label{{fig:{figure.name}}}\n"
        f"\\end{{{kind}}}\n"
    )
