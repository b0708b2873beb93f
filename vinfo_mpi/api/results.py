"""The public class for results: ``from vinfo_mpi import Results``."""

from __future__ import annotations

import pandas as pd

from vinfo_mpi.figures.plots import Plots
from vinfo_mpi.results import findings, tables
from vinfo_mpi.results.facts import facts
from vinfo_mpi.results.reliability import warnings_about
from vinfo_mpi.results.side_by_side import side_by_side


class Results(tables.Results):
    """Results of a run: tables, any dataset, the figures, and the signs of the paper.

    See `vinfo_mpi.results.tables.Results` for parameters, attributes and errors.
    """

    @property
    def plot(self) -> Plots:
        """The figures of this run.

        ``plot.<name>(ax)`` draws one on given axes, ``plot.<name>()`` the whole one of a paper.
        """
        return Plots(self)

    @property
    def side_by_side(self) -> pd.DataFrame:
        """A row per measure: the run's concepts beside the features of its autoencoder."""
        return side_by_side(self)

    @property
    def signs(self) -> pd.DataFrame:
        """Findings of the paper, looked for in this run: value, error and verdict of every sign."""
        return findings.table(self)

    @property
    def warnings(self) -> list[str]:
        """Reasons to trust the numbers less than they look, a sentence each."""
        return warnings_about(facts(self))
