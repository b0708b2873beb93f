"""The results of a run as tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from vinfo_mpi.errors import InputError, require
from vinfo_mpi.numerics import bootstrap, correlation
from vinfo_mpi.numerics.bootstrap import Estimate
from vinfo_mpi.numerics.correlation import Matrix
from vinfo_mpi.registry import command
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import (
    ALIVE,
    CLASS,
    COMPLEXITY,
    DYNAMICS_CHECKPOINTS,
    DYNAMICS_VINFORMATION,
    IMPORTANCE,
    INDEX,
    NAME,
    TAPS,
    TEMPORAL,
    VINFORMATION,
)
from vinfo_mpi.results.schema_analyses import CHANCE, DICTIONARY_SE, WORD, WORD_AS_GOOD
from vinfo_mpi.results.store import dataset_names
from vinfo_mpi.results.written_by import stage_of_column
from vinfo_mpi.storage.atomic import writing
from vinfo_mpi.storage.hdf5 import open_checked

# The columns that come first in a table of concepts.
FIRST = (NAME, CLASS, ALIVE, COMPLEXITY, COMPLEXITY.se, DICTIONARY_SE, TEMPORAL, IMPORTANCE)


class Results:
    """Results of a run.

    Datasets are named by those of `vinfo_mpi.results.schema`, or by their names in the file.

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
            stages = {stage: dict(group.attrs) for stage, group in file["provenance"].items()}
            self.datasets = tuple(dataset_names(file))
        self.inputs = {stage: json.loads(attrs["inputs"]) for stage, attrs in stages.items()}
        self.settings = {stage: json.loads(attrs["config"]) for stage, attrs in stages.items()}
        # The bootstrap takes seconds where there are 10,000 concepts.
        self._correlations: dict[tuple[str, ...], Estimate] = {}
        self._matrices: dict[tuple[str, ...], Matrix] = {}

    def __contains__(self, dataset: Dataset | str) -> bool:
        """Whether the file has a dataset."""
        return _name(dataset) in self.datasets

    @property
    def analysed(self) -> str:
        """The activations that were scored, relative to the run's folder: activations/epoch_012."""
        return next(name for name in self.inputs["score"] if name.startswith("activations/"))

    def suits(self, stage: str) -> bool:
        """Whether a stage can be computed for the run's images: `bias` crosses planted factors."""
        planted = any(of["data"]["source"] == "planted" for of in self.settings.values())
        return planted or stage != "bias"

    @cached_property
    def concepts(self) -> pd.DataFrame:
        """A row per concept, a column per dataset that has one value of each.

        Its name, or its word where that is better than chance, class, alive, complexity, ... with
        standard errors.
        """
        columns = {}
        with open_checked(self.path, "vinfo-results") as file:
            # There are none yet where only stages before the dictionary have written.
            for name, dataset in file.get(INDEX.group, {}).items():
                is_text = h5py.check_string_dtype(dataset.dtype) is not None
                columns[name] = dataset.asstr()[()] if is_text else dataset[()]
        if WORD.column in columns:
            columns[NAME.column] = _called(columns, columns.get(NAME.column))
        index = pd.Index(columns.pop(INDEX.column, []), name="concept")
        table = pd.DataFrame(columns, index=index)
        if ALIVE.column in table:
            table[ALIVE.column] = table[ALIVE.column].astype(bool)
        first = [dataset.column for dataset in FIRST if dataset.column in table]
        others = [column for column in table if column not in first]
        return table[[*first, *others]]

    @cached_property
    def living(self) -> pd.DataFrame:
        """The rows of `concepts` that vary over the images; all of them before they are scored."""
        if ALIVE.column not in self.concepts:
            return self.concepts
        return self.concepts[self.concepts[ALIVE.column]]

    @cached_property
    def vinformation(self) -> pd.DataFrame:
        """V-information of every tap (rows, in forward order) and concept (columns)."""
        return pd.DataFrame(
            self.read(VINFORMATION),
            index=pd.Index(self.names(TAPS), name="tap"),
            columns=pd.Index(self.read(INDEX), name="concept"),
        )

    @cached_property
    def dynamics(self) -> pd.DataFrame:
        """V-information from the last tap of every checkpoint (rows) to the final concepts."""
        return pd.DataFrame(
            self.read(DYNAMICS_VINFORMATION),
            index=pd.Index(self.read(DYNAMICS_CHECKPOINTS), name="epoch"),
            columns=pd.Index(self.read(INDEX), name="concept"),
        )

    @property
    def table(self) -> pd.DataFrame:
        """Tables that `to_csv` and `to_parquet` write.

        It is `concepts`, and once scored a column ``vinformation_<tap>`` for every tap.
        """
        if VINFORMATION not in self:
            return self.concepts
        return self.concepts.join(self.vinformation.T.add_prefix("vinformation_"))

    def to_csv(self, path: str | Path) -> None:
        """Write `table` as text; raise `InputError` where the path cannot be written to."""
        with _parent_made(path) as target:
            self.table.to_csv(target)

    def to_parquet(self, path: str | Path) -> None:
        """Write `table` for other programs; raise `InputError` where the path cannot be used."""
        require("to_parquet", "pyarrow")
        with _parent_made(path) as target:
            self.table.to_parquet(target)

    @cached_property
    def classes(self) -> list[str]:
        """Names of the classes, from the activations.

        Their numbers where these lie no longer, or damaged, beside the results.
        """
        path = self.path.parent / f"{self.analysed}.h5"
        try:
            with open_checked(path, "vinfo-activations") as file:
                return [name.decode() for name in file["classes"][()]]
        except InputError:
            return [str(number) for number in range(self.concepts[CLASS.column].max() + 1)]

    def read(self, dataset: Dataset | str) -> np.ndarray:
        """Return any dataset of the file as an array; raise `KeyError` where it is not there."""
        name = _name(dataset)
        if name not in self.datasets:
            raise KeyError(
                f"{self.path} has no dataset '{name}'; "
                f"it holds the results of: {', '.join(self.inputs)}"
            )
        with open_checked(self.path, "vinfo-results") as file:
            return file[name][()]

    def read_with_error(self, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Return a dataset and its standard error."""
        return self.read(dataset), self.read(dataset.se)

    def names(self, dataset: Dataset | str) -> list[str]:
        """Return a dataset of names."""
        return [name.decode() for name in self.read(dataset)]

    def description(self, dataset: Dataset | str) -> str:
        """Return what a dataset holds, in words."""
        with open_checked(self.path, "vinfo-results") as file:
            return str(file[_name(dataset)].attrs["description"])

    def correlation(
        self,
        first: Dataset | str,
        second: Dataset | str,
        given: Dataset | str | Sequence[Dataset | str] = (),
    ) -> Estimate:
        """Return Spearman's rank correlation of two quantities over the living concepts.

        With its standard error: bootstrap over the classes, or over the concepts where they belong
        to fewer than five.

        Parameters
        ----------
        first, second : Dataset or str
            Columns of `concepts`.
        given : Dataset or str, or several of them
            Other columns: the partial correlation, without what both share with their ranks.
        """
        several = [given] if isinstance(given, Dataset | str) else given
        columns = tuple(_column(name) for name in (first, second, *several))
        if columns not in self._correlations:
            values = [self._column(column) for column in columns]
            self._correlations[columns] = _correlation(*values, cluster=self.classes_of_living)
        return self._correlations[columns]

    def correlations(self, datasets: Sequence[Dataset | str]) -> Matrix:
        """Return Spearman's correlation of every two columns, over the concepts that have all.

        Living ones, with the standard errors of `correlation`.
        """
        columns = tuple(_column(name) for name in datasets)
        if columns not in self._matrices:
            values = [self._column(column) for column in columns]
            matrix = correlation.spearman_matrix(values, cluster=self.classes_of_living)
            self._matrices[columns] = matrix
        return self._matrices[columns]

    def mean(self, dataset: Dataset | str) -> Estimate:
        """Return the mean of a column over the living concepts, with the same standard error."""
        return bootstrap.mean(self._column(_column(dataset)), self.classes_of_living)

    def _column(self, column: str) -> np.ndarray:
        """Return a column of `living`; raise `InputError` where an older run has none."""
        if column not in self.living:
            raise InputError(
                f"{self.path} has no column '{column}': its stage has not run, or was run by "
                "a version that did not write it; "
                f"python -m {command(stage_of_column(column))} --force adds it"
            )
        return self.living[column].to_numpy()

    @property
    def classes_of_living(self) -> np.ndarray:
        """The class of every living concept; -1: of all."""
        return self.living[CLASS.column].to_numpy()


def _called(columns: Mapping[str, np.ndarray], names: np.ndarray | None) -> list[str]:
    """Return words as names, behind those that concepts have otherwise; none that chance gives."""
    words = columns[WORD.column]
    if WORD_AS_GOOD.column in columns:  # earlier versions did not write it
        words = np.where(columns[WORD_AS_GOOD.column] <= CHANCE, words, "")
    if names is None:
        return list(words)
    return [f"{name}, {word}" if word else name for name, word in zip(names, words, strict=True)]


def _name(dataset: Dataset | str) -> str:
    """Return the name of a dataset in the file."""
    return dataset.name if isinstance(dataset, Dataset) else dataset


def _column(dataset: Dataset | str) -> str:
    """Return the name of a dataset in the table of concepts."""
    return dataset.column if isinstance(dataset, Dataset) else dataset


@contextmanager
def _parent_made(path: str | Path) -> Iterator[Path]:
    target = Path(path)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        yield target


def _correlation(x: np.ndarray, y: np.ndarray, *given: np.ndarray, cluster: np.ndarray) -> Estimate:
    if not given:
        return correlation.spearman(x, y, cluster=cluster)
    return correlation.partial_spearman(x, y, given, cluster=cluster)
