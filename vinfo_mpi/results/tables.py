"""The results of a run as tables, for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from vinfo_mpi.errors import InputError
from vinfo_mpi.figures.catalogue import Plots
from vinfo_mpi.numerics import correlation
from vinfo_mpi.numerics.correlation import Correlation
from vinfo_mpi.results import findings
from vinfo_mpi.storage.atomic import writing
from vinfo_mpi.storage.hdf5 import open_checked


class Results:
    """What a run has found.

    Parameters
    ----------
    run : str or Path
        The run's folder, or its results.h5.

    Attributes
    ----------
    path : Path
        Of the file.
    attributes : dict
        Of the file: where it comes from.
    inputs, settings : dict of str to dict
        Of every stage that has written: fingerprints of what it read, and its whole configuration.
    datasets : tuple of str
        The names of all datasets, for `read`.

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
            self.inputs, self.settings = (
                {stage: json.loads(part.attrs[name]) for stage, part in file["provenance"].items()} for name in ("inputs", "config")
            )
            names: list[str] = []
            file.visititems(lambda name, thing: names.append(name) if isinstance(thing, h5py.Dataset) else None)
            self.datasets = tuple(names)
        self._correlations: dict[tuple[str, str], Correlation] = {}

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

    @property
    def table(self) -> pd.DataFrame:
        """`concepts`, and once scored a column ``vinformation_<tap>`` for every tap: what `to_csv` and `to_parquet` write."""
        if "vinformation" not in self.datasets:
            return self.concepts
        return self.concepts.join(self.vinformation.T.add_prefix("vinformation_"))

    def to_csv(self, path: str | Path) -> None:
        """Write `table` as text; raise `InputError` where the path cannot be written to."""
        with _parent_made(path) as target:
            self.table.to_csv(target)

    def to_parquet(self, path: str | Path) -> None:
        """Write `table` for other programs; raise `InputError` where the path cannot be written to."""
        with _parent_made(path) as target:
            self.table.to_parquet(target)

    @cached_property
    def classes(self) -> list[str]:
        """Names of the classes, from the activations; their numbers where these lie no longer, or damaged, beside the results."""
        try:
            with open_checked(self.path.parent / f"{self.analysed}.h5", "vinfo-activations") as file:
                return [name.decode() for name in file["classes"][()]]
        except InputError:
            return [str(number) for number in range(self.concepts["class"].max() + 1)]

    def read(self, name: str) -> np.ndarray:
        """Return any dataset of the file as an array."""
        if name not in self.datasets:
            raise KeyError(f"{self.path} has no dataset '{name}'; it holds the results of: {', '.join(self.inputs)}")
        with open_checked(self.path, "vinfo-results") as file:
            return file[name][()]

    def description(self, name: str) -> str:
        """Return what a dataset holds, in words."""
        with open_checked(self.path, "vinfo-results") as file:
            return str(file[name].attrs["description"])

    @property
    def plot(self) -> Plots:
        """The figures of this run: ``plot.<name>(ax)`` draws one on given axes, ``plot.<name>()`` the whole one of a paper."""
        return Plots(self)

    def correlation(self, one: str, other: str) -> Correlation:
        """Return Spearman's rank correlation of two columns over the living concepts, with its standard error (bootstrap)."""
        if (one, other) not in self._correlations:  # the bootstrap takes seconds where there are 10,000 concepts
            living = self.concepts[self.concepts["alive"]]
            self._correlations[one, other] = correlation.spearman(living[one].to_numpy(), living[other].to_numpy())
        return self._correlations[one, other]

    @property
    def signs(self) -> pd.DataFrame:
        """What the paper found, looked for in this run: value, standard error and verdict of every sign."""
        return findings.table(self)


@contextmanager
def _parent_made(path: str | Path) -> Iterator[Path]:
    target = Path(path)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        yield target
