"""A finding that is looked for in a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vinfo_mpi.results.curves import Measured
from vinfo_mpi.results.tables import Results

THE_PAPER = "Fel et al. 2024"


@dataclass(frozen=True)
class Sign:
    """One finding of a paper.

    Attributes
    ----------
    text : str
        What is measured.
    expected : str
        What it is expected to be: ``> 0``, ``< 0`` or ``about 0``; empty where the paper says
        nothing and the value stands beside another one.
    needs : tuple of str
        The stages whose results it is measured on.
    measure : function of Results to Measured
    source : str
        The paper.
    """

    text: str
    expected: str
    needs: tuple[str, ...]
    measure: Callable[[Results], Measured]
    source: str = THE_PAPER
