"""Description of a dataset of results.h5: its name, axes, type, unit and meaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vinfo_mpi.storage.hdf5 import Table, fixed_width


@dataclass(frozen=True)
class Dataset:
    """One dataset of results.h5.

    Attributes
    ----------
    name : str
        Where it lies in the file.
    axes : tuple of str
        What its axes number.
    sentence : str
        What its values mean; words in braces are filled in by whoever writes it.
    dtype : str
        Of the stored values; ``text`` for names.
    unit : str, or None
        ``1`` for shares and other pure numbers; None for numbers of things and names.
    error : str, or None
        What its standard error is over, where it has one: that is stored beside it, as `se`.
    """

    name: str
    axes: tuple[str, ...]
    sentence: str
    dtype: str = "float64"
    unit: str | None = "1"
    error: str | None = None

    @property
    def group(self) -> str:
        """The group that it lies in; empty for the file itself."""
        return self.name.rpartition("/")[0]

    @property
    def column(self) -> str:
        """Its name within its group, which is that of a column in the table of concepts."""
        return self.name.rpartition("/")[2]

    @property
    def se(self) -> Dataset:
        """The dataset of its standard error."""
        if self.error is None:
            raise ValueError(f"{self.name} has no standard error")
        return Dataset(f"{self.name}_se", self.axes, self.error, self.dtype, self.unit)

    def filled(self, **words: str) -> Dataset:
        """Return this dataset with the words that its sentence has in braces."""
        return replace(self, sentence=self.sentence.format(**words))

    def within(self, group: str) -> Dataset:
        """Return the same dataset of another group."""
        return replace(self, name=f"{group}/{self.column}")

    def table(self, values: np.ndarray | Sequence[Any]) -> Table:
        """Return what is written: values in the type of this dataset, and what they are.

        Parameters
        ----------
        values : array, or list of str
            With as many axes as the dataset.

        Raises
        ------
        ValueError
            If they have more or fewer axes.
        """
        stored = _text(values) if self.dtype == "text" else np.asarray(values, self.dtype)
        if stored.ndim != len(self.axes):
            raise ValueError(f"/{self.name} has axes {self.axes}, not shape {stored.shape}")
        return Table(stored, self.sentence, self.unit, self.axes)


def _text(values: np.ndarray | Sequence[Any]) -> np.ndarray:
    """Return names as they are stored; those that come from a file are bytes."""
    return fixed_width([value.decode() if isinstance(value, bytes) else value for value in values])
