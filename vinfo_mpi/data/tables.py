"""Tables with a row per image: what is in the columns, and whether it can be taken as it is."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vinfo_mpi.config.schema import Data
from vinfo_mpi.errors import InputError, choices, in_one_line, require
from vinfo_mpi.parallel.logs import log

if TYPE_CHECKING:
    import pandas as pd

# What columns are usually called; data.columns gives others.
USUAL = {
    "path": ("path", "file_name", "filename", "file", "image_path", "image"),
    "id": ("id", "index"),
    "label": ("label", "class", "target", "y"),
    "split": ("split", "partition", "set", "part"),
}


class Rows(NamedTuple):
    """Images of a table, as `vinfo_mpi.data.listed.assembled` takes them."""

    table: Table
    read: Callable[[int], Any]
    names: list[str]
    test: np.ndarray | None = None
    classes: list[str] | None = None


@dataclass(frozen=True)
class Table:
    """A table of images.

    Attributes
    ----------
    path : Path
    frame : pandas.DataFrame
        A row per image; missing values are NaN or None.
    roles : dict of str to str
        The columns that are path, id, label and split, as far as there are such.
    factors, groups : list of str
        The columns that are factors, and those of them that name groups.
    setting : str
        Which setting has named it.
    """

    path: Path
    frame: pd.DataFrame
    roles: dict[str, str]
    factors: list[str]
    groups: list[str]
    setting: str = "data.table"

    @property
    def where(self) -> str:
        """The beginning of a sentence."""
        return f"{self.setting}: {self.path}: "

    def texts(self, role: str) -> list[str]:
        """Return the texts of the column with a role.

        Raises
        ------
        InputError
            Where one is missing, or one that tells images apart comes twice.
        """
        column = self.frame[self.roles[role]]
        self._refuse_missing(self.roles[role], f"give every image its {role}, or delete these rows")
        texts = column.astype(str).tolist()
        twice = next((text for text, count in Counter(texts).items() if count > 1), None)
        if role in ("path", "id") and twice is not None:
            first, second = [row for row, text in enumerate(texts, 1) if text == twice][:2]
            raise InputError(
                f"{self.where}rows {first} and {second} have the same {role}, {twice}; "
                "give every image one row"
            )
        return texts

    def labels(self) -> list[Any] | None:
        """Return the labels, None where there is no such column."""
        if "label" not in self.roles:
            return None
        self._refuse_missing(self.roles["label"], "give every image a label, or delete these rows")
        return self.frame[self.roles["label"]].tolist()

    def values(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the factors of some rows, those that name groups as texts."""
        columns = {name: self.frame[name].iloc[rows] for name in self.factors}
        return {
            name: np.array(
                [None if value is None or value != value else value for value in column.tolist()],
                dtype=object,
            )
            for name, column in columns.items()
        }

    def check_factors(self, may_lack: bool) -> None:
        """Raise `InputError` for factors that cannot be scored.

        Parameters
        ----------
        may_lack : bool
            Whether images without a value are left out.
        """
        remedy = "name the columns to take by data.factors"
        for name in self.factors:
            column = self.frame[name]
            if not may_lack:
                self._refuse_missing(
                    name, f"give values, {remedy}, or set data.on_missing_factor: skip"
                )
            counts = column.value_counts()
            if len(counts) < 2:
                value = f"the same value, {counts.index[0]}," if len(counts) else "no value"
                raise InputError(
                    f"{self.where}column '{name}' has {value} in all rows; {remedy} without it"
                )
            is_text = column.map(lambda value: isinstance(value, str)).any()
            if is_text and counts.iloc[-1] == 1:
                what = "group" if name in self.groups else "value"
                raise InputError(
                    f"{self.where}column '{name}': the {what} '{counts.index[-1]}' has only one "
                    f"image; join it with another, or {remedy} without '{name}'"
                )

    def _refuse_missing(self, column: str, remedy: str) -> None:
        missing = np.flatnonzero(self.frame[column].isna())
        if len(missing):
            row = f"row {missing[0] + 1}"
            name = self.roles.get("path") or self.roles.get("id")
            if name is not None and name != column:
                row += f", {self.frame[name].iloc[missing[0]]}"
            raise InputError(
                f"{self.where}column '{column}' is empty in {len(missing)} of {len(self.frame)} "
                f"rows (first: {row}); {remedy}"
            )


def read(data: Data) -> Table:
    """Return the table of the images, with the columns that are asked for.

    Raises
    ------
    InputError
        If it is not there, cannot be read, or lacks a column.
    """
    path = Path(data.table or "").expanduser()
    if not path.is_file():
        raise InputError(f"data.table: {path} does not exist; set it to a .csv, .tsv or .parquet")
    status = path.stat()
    frame = _frame(path, status.st_size, status.st_mtime_ns)
    given = {str(role): column for role, column in data.columns.items()}
    roles = {role: _column(path, frame, role, given.get(role)) for role in USUAL}
    known = {role: column for role, column in roles.items() if column is not None}
    return of_frame(path, frame, known, data)


def of_frame(path: Path, frame: pd.DataFrame, roles: dict[str, str], data: Data) -> Table:
    """Return a table of columns, with the factors that are asked for; beside data.table only these.

    Raises
    ------
    InputError
        If one is not there.
    """
    groups = [data.group] if isinstance(data.group, str) else data.group
    rest = [name for name in frame.columns if name not in roles.values()]
    for setting, names in (("factors", data.factors or []), ("group", groups)):
        for name in names:
            if name not in rest:
                raise InputError(
                    f"data.{setting}: {path} has no further column '{name}'; {choices(name, rest)}"
                )
    factors = data.factors
    if factors is None:
        factors = rest if data.table else []
    frame = frame.assign(**{name: _as_texts(frame[name]) for name in groups})
    chosen = list(dict.fromkeys([*factors, *groups]))
    setting = "data.table" if data.table else "data.root"
    return Table(path, frame, roles, chosen, groups, setting)


def key_of_images(data: Data) -> str | None:
    """Return what identifies which images a table lists, None where there is none.

    Their paths, labels and parts; which of them lack a factor, if these are left out.
    """
    if not _is_there(data):
        return None
    table = read(data)
    lacking: Iterable[str] = table.factors if data.on_missing_factor == "skip" else []
    frame = table.frame[list(table.roles.values())].assign(
        **{f"lacks {name}": table.frame[name].isna() for name in lacking}
    )
    return _digest(frame)


def key_of_factors(data: Data) -> str | None:
    """Return what identifies the images of a table with their factors, None where there is none."""
    if not _is_there(data):
        return None
    table = read(data)
    return _digest(table.frame[[*table.roles.values(), *table.factors]])


def _is_there(data: Data) -> bool:
    return data.table is not None and Path(data.table).expanduser().is_file()


def _digest(frame: pd.DataFrame) -> str:
    """Return the fingerprint of columns with their names."""
    import pandas as pd

    names = " ".join(map(str, frame.columns)).encode()
    rows = pd.util.hash_pandas_object(frame.astype(str), index=False).to_numpy()
    return hashlib.sha256(names + rows.tobytes()).hexdigest()[:16]


@lru_cache(maxsize=2)
def _frame(path: Path, size: int, changed: int) -> pd.DataFrame:
    """Return the content of a file of this size and time."""
    import pandas as pd

    is_parquet = path.suffix.lower() in (".parquet", ".pq")
    if is_parquet:
        require(f"data.table: {path}", "pyarrow")
    try:
        if is_parquet:
            frame = pd.read_parquet(path)
        else:
            # Whole columns at once: in parts, one column could hold both numbers and texts.
            frame = pd.read_csv(path, sep=_separator(path), encoding="utf-8-sig", low_memory=False)
    except (ValueError, OSError) as error:  # pandas' and pyarrow's own are among them
        raise InputError(
            f"data.table: {path} cannot be read as a table ({in_one_line(error)})"
        ) from None
    if not len(frame):
        raise InputError(f"data.table: {path} has no rows; give a header and a row for every image")
    unnamed = [name for name in frame.columns if str(name).startswith("Unnamed: ")]
    if unnamed:
        log.info("data: %s: %d columns without a name are left out", path, len(unnamed))
    frame = frame.drop(columns=unnamed)
    return frame.apply(_tidied)


def _separator(path: Path) -> str:
    """Return what stands between the columns, by the header."""
    with path.open(encoding="utf-8-sig") as file:
        header = file.readline()
    separator = max(",;\t", key=header.count)
    names = next(csv.reader([header], delimiter=separator), [])
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    if twice:
        raise InputError(f"data.table: {path} has two columns '{twice[0]}'; rename one")
    return separator


def _tidied(column: pd.Series) -> pd.Series:
    """Return a column whose texts have no blanks around them; nothing but blanks is missing."""
    if column.dtype.kind in "biufM":
        return column
    values = [value.strip() or None if isinstance(value, str) else value for value in column]
    return column.__class__(values, index=column.index, dtype=object)


def _as_texts(column: pd.Series) -> pd.Series:
    """Return the names of groups, whatever they were: numbers name groups as well."""

    def text(value: Any) -> str:
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)

    missing = column.isna()
    return column.astype(object).where(missing, column.map(text, na_action="ignore"))


def _column(path: Path, frame: pd.DataFrame, role: str, given: str | None) -> str | None:
    """Return the name of the column with a role, None where there is none."""
    if given is not None:
        if given not in frame.columns:
            raise InputError(
                f"data.columns: {path} has no column '{given}' for the {role}; "
                f"{choices(given, frame.columns)}"
            )
        return given
    return next((name for name in USUAL[role] if name in frame.columns), None)
