"""The results of a run as tables, for people."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from vinfo_mpi import signs
from vinfo_mpi.numerics import correlation
from vinfo_mpi.numerics.correlation import Correlation
from vinfo_mpi.storage.files import open_checked


class Results:
    """What a run has found.

    Parameters
    ----------
    run : str or Path
        The run's folder, or its results.h5.

    Raises
    ------
    InputError
        If there are no results, or they are damaged.
    """

    def __init__(self, run: str | Path) -> None:
        path = Path(run)
        self.path = path / "results.h5" if path.is_dir() or path.suffix != ".h5" else path
        with open_checked(self.path, "vinfo-results") as file:
            self.attributes = dict(file.attrs)
            self.inputs = {stage: json.loads(part.attrs["inputs"]) for stage, part in file["provenance"].items()}

    @property
    def analysed(self) -> str:
        """The activations that were scored, relative to the run's folder: activations/epoch_012."""
        return next(name for name in self.inputs["score"] if name.startswith("activations/"))

    @cached_property
    def concepts(self) -> pd.DataFrame:
        """One row per concept: its name if it has one, class, alive, complexity, importance, ... with standard errors."""
        with open_checked(self.path, "vinfo-results") as file:
            parts = {name: part for name, part in file["concepts"].items() if name != "index"}
            columns = {name: (part.asstr() if h5py.check_string_dtype(part.dtype) else part)[()] for name, part in parts.items()}
            index = pd.Index(file["concepts/index"][()], name="concept")
        table = pd.DataFrame(columns, index=index)
        if "alive" in table:
            table["alive"] = table["alive"].astype(bool)
        first = ("name", "class", "alive", "complexity", "complexity_se", "temporal", "importance")
        return table[[*(name for name in first if name in table), *(name for name in table if name not in first)]]

    @cached_property
    def vinformation(self) -> pd.DataFrame:
        """V-information of every tap (rows, in forward order) and concept (columns)."""
        return pd.DataFrame(
            self.read("vinformation"),
            index=pd.Index([name.decode() for name in self.read("taps")], name="tap"),
            columns=pd.Index(self.read("concepts/index"), name="concept"),
        )

    @cached_property
    def dynamics(self) -> pd.DataFrame:
        """V-information from the last tap of every checkpoint (rows) to the final concepts (columns)."""
        return pd.DataFrame(
            self.read("dynamics/vinformation"),
            index=pd.Index(self.read("dynamics/checkpoints"), name="epoch"),
            columns=pd.Index(self.read("concepts/index"), name="concept"),
        )

    def read(self, name: str) -> np.ndarray:
        """Return any dataset of the file as an array."""
        with open_checked(self.path, "vinfo-results") as file:
            if not isinstance(file.get(name), h5py.Dataset):
                raise KeyError(f"{self.path} has no dataset '{name}'; it holds the results of: {', '.join(self.inputs)}")
            return file[name][()]

    @property
    def plot(self) -> Plots:
        """The figures of this run, each drawn on given or new axes."""
        return Plots(self)

    def correlation(self, one: str, other: str) -> Correlation:
        """Return Spearman's rank correlation of two columns over the living concepts, with its standard error (bootstrap)."""
        living = self.concepts[self.concepts["alive"]]
        return correlation.spearman(living[one].to_numpy(), living[other].to_numpy())

    @property
    def signs(self) -> pd.DataFrame:
        """What the paper found, looked for in this run: value, standard error and verdict of every sign."""
        return signs.table(self)


from vinfo_mpi.pages.figures import Plots
