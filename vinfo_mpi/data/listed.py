"""Images that a table lists, and what a table says of images from elsewhere."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vinfo_mpi.config.schema import Data
from vinfo_mpi.data import survey, tables
from vinfo_mpi.data.folders import HELD_OUT, TRAINING, shown
from vinfo_mpi.data.images import Images, held_out
from vinfo_mpi.data.labels import as_labels
from vinfo_mpi.data.tables import Rows, Table
from vinfo_mpi.errors import InputError, choices
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.storage.activations import UNLABELLED


def images(data: Data, seed: int) -> Images:
    """Return the images that a table lists, in its order, with its labels, parts and factors.

    Raises
    ------
    InputError
        For files that are not there, or a table that cannot be taken as it is.
    """
    table = tables.read(data)
    if "path" not in table.roles:
        raise InputError(
            f"{table.where}no column is called {', '.join(tables.USUAL['path'][:3])}; name the "
            "column of the files by data.columns: {path: ...}"
        )
    root = Path(data.root).expanduser() if data.root else table.path.parent
    paths = [os.path.normpath(root / name) for name in table.texts("path")]
    _check_files(paths, table)
    survey.say_what_files_hold(paths, data)
    test = _held_out_by(table) if "split" in table.roles else None
    return assembled(Rows(table, partial(read_file, paths), paths, test), data, seed)


def assembled(rows: Rows, data: Data, seed: int) -> Images:
    """Return images whose rows are in a table; divided by seed where nothing says how."""
    table, read, names, test, known = rows
    labels = table.labels()
    numbers = np.zeros(len(names), np.int64)
    classes: list[str] | None = [UNLABELLED]
    if labels is None:
        log.info("data: %s has no column of labels", table.path)
    else:
        numbers, classes = as_labels(labels, f"table {table.path}")
        classes = classes or known
    images_of_rows = Images(
        read,
        numbers,
        held_out(numbers, data.test_share, seed) if test is None else test,
        classes or [str(number) for number in range(int(numbers.max()) + 1)],
        names=names,
    )
    return _with_factors(images_of_rows, table, np.arange(len(names)), data)


def described(others: Images, data: Data) -> Images:
    """Return images from elsewhere with what a table says of them: factors, and labels if asked.

    Raises
    ------
    InputError
        Where an image has no row.
    """
    table = tables.read(data)
    rows = _rows_of(others, table, data)
    if "label" in data.columns:
        labels = [(table.labels() or [])[row] for row in rows.tolist()]
        numbers, classes = as_labels(labels, f"table {table.path}")
        names = classes or [str(number) for number in range(int(numbers.max()) + 1)]
        others = replace(others, labels=numbers, classes=names)
    return _with_factors(others, table, rows, data)


def read_file(paths: Sequence[str], index: int) -> Image.Image:
    """Return an image of a file."""
    image = Image.open(paths[index])
    with image:
        image.load()
    return image


def _with_factors(others: Images, table: Table, rows: np.ndarray, data: Data) -> Images:
    """Return images with the factors of their rows."""
    table.check_factors(may_lack=data.on_missing_factor == "skip")
    values = table.values(rows)
    doubled = sorted(values.keys() & others.factors.keys())
    if doubled:
        raise InputError(
            f"{table.where}the images have a factor '{doubled[0]}' already; rename the column"
        )
    roles = ", ".join(f"{role} '{column}'" for role, column in table.roles.items())
    factors = f"; factors: {', '.join(table.factors)}" if table.factors else ""
    log.info("data: %s: %d rows; %s%s", table.path, len(table.frame), roles, factors)
    return replace(others, factors=others.factors | values)


def _check_files(paths: list[str], table: Table) -> None:
    """Raise `InputError` for files that are not there; every folder is listed once."""
    names_by_folder: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for row, path in enumerate(paths):
        folder, name = os.path.split(path)
        names_by_folder[folder].append((row, name))
    absent = []
    for folder, names in names_by_folder.items():
        there: set[str] = set()
        if Path(folder).is_dir():
            with os.scandir(folder) as entries:
                there = {entry.name for entry in entries}
        absent += [row for row, name in names if name not in there]
    if absent:
        first = min(absent)
        raise InputError(
            f"{table.where}{len(absent)} of {len(paths)} files do not exist (first: row "
            f"{first + 1}, {shown(paths[first])}); set data.root to the folder that paths begin in"
        )


def _held_out_by(table: Table) -> np.ndarray:
    """Return which images are held out by the column of parts: (N,) bool."""
    parts = [text.lower() for text in table.texts("split")]
    # Numbers as of CelebA and Waterbirds: 0 is learned from, 1 and 2 are held out.
    training = {*TRAINING, "0", "0.0"}
    known = training | {*HELD_OUT, "1", "1.0", "2", "2.0"}
    unknown = [row for row, part in enumerate(parts) if part not in known]
    if unknown:
        raise InputError(
            f"{table.where}row {unknown[0] + 1} belongs to the part '{parts[unknown[0]]}'; "
            f"{choices(parts[unknown[0]], ['train', 'val', 'test'])}"
        )
    return np.array([part not in training for part in parts])


def _rows_of(others: Images, table: Table, data: Data) -> np.ndarray:
    """Return the row of every image: (N,) int64."""
    if others.names is not None and "path" in table.roles:
        root = f"{os.path.normpath(Path(data.root or '').expanduser())}/"
        names = [os.path.normpath(name).removeprefix(root) for name in others.names]
        keys = [os.path.normpath(text).removeprefix(root) for text in table.texts("path")]
    elif "id" in table.roles:
        numbers = [str(number) for number in range(len(others.labels))]
        names = numbers if others.names is None else list(others.names)
        keys = table.texts("id")
    else:
        raise InputError(
            f"{table.where}nothing says which row belongs to which image; add a column 'id' with "
            f"the images' numbers from 0, or name it by data.columns: {{id: ...}}"
        )
    row_of: dict[Any, int] = {key: row for row, key in enumerate(keys)}
    lacking = [name for name in names if name not in row_of]
    if lacking:
        raise InputError(
            f"{table.where}{len(lacking)} of {len(names)} images have no row (first: "
            f"{shown(lacking[0])}, where the first row is {keys[0]}); give each image a row"
        )
    if len(keys) > len(names):
        log.info("data: %s: %d rows match no image", table.path, len(keys) - len(names))
    return np.array([row_of[name] for name in names], np.int64)
