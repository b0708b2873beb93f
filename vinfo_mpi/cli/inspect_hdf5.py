"""An HDF5 file of this package for a person: attributes, datasets with ranges, results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from rich.padding import Padding
from rich.text import Text

from vinfo_mpi import units
from vinfo_mpi.cli.plain_tables import heading, pairs, table
from vinfo_mpi.numerics.arrays import evenly_spaced
from vinfo_mpi.results.schema import (
    ALIVE,
    CLASS,
    COMPLEXITY,
    IMPORTANCE,
    NAME,
    TEMPORAL,
    VINFORMATION,
    WARNINGS,
)
from vinfo_mpi.results.schema_analyses import DICTIONARY_SE, RUNNER_UP, WORD
from vinfo_mpi.results.schema_metafeatures import CLUSTER
from vinfo_mpi.results.store import dataset_names
from vinfo_mpi.storage.rows import RowReader

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from vinfo_mpi.results.tables import Results

TOP = 5  # concepts at either end
BAR = 30  # characters of a bar of length 1
BLOCK = 2**20  # bytes of a dataset that are read at once
LIMIT = 2**24  # and in all
INDENT = (0, 0, 0, 4)
NARROW = 110  # columns; in terminals below this, what a dataset holds stands beneath its name
LONG = ("config", "complete", "filetype")  # attributes that are long, or said otherwise
HEADS = ("dataset", "shape", "type", "min", "mean", "max", "NaN", "description")
QUANTILES = (0.0, 0.1, 0.5, 0.9, 1.0)
NO_QUANTITIES = (NAME, WORD, RUNNER_UP, CLASS, ALIVE, CLUSTER)
COLUMNS = (  # of single concepts
    *(NAME, CLASS, COMPLEXITY, COMPLEXITY.se, DICTIONARY_SE, TEMPORAL, IMPORTANCE),
)
EXTREMES = {  # the dataset, and whether its largest values are looked for
    "simplest": (COMPLEXITY, False),
    "most complex": (COMPLEXITY, True),
    "most important": (IMPORTANCE, True),
    "learned last": (TEMPORAL, True),
}


def view(path: Path, width: int) -> Iterator[Any]:
    """Yield what to show of a file, on so many columns."""
    with RowReader(path) as reader:
        filetype = reader.attributes["filetype"]
        attributes = [pair for pair in reader.attributes.items() if pair[0] not in LONG]
        rows = [_described(f"/{name}", reader.file[name]) for name in dataset_names(reader.file)]
    yield Text(filetype)
    yield pairs(attributes)
    if width < NARROW:
        yield from _beneath(rows)
    else:
        yield table(HEADS, rows, right=range(3, 7))
    if any("~" in row[4] for row in rows):
        yield Text(f"~ of rows here and there, {units.size(LIMIT)} in all")
    if filetype == "vinfo-results":
        from vinfo_mpi.results.tables import Results

        yield from _results(Results(path))


def _beneath(rows: list[tuple[str, ...]]) -> Iterator[Any]:
    """Yield datasets a few lines each, whatever their names and descriptions are long."""
    for name, shape, dtype, low, mean, high, missing, description in rows:
        yield Text(name, style="bold")
        span = f"{low} … {high}" if low else ""
        facts = (shape, dtype, span, f"mean {mean}" if mean else "", missing and f"NaN {missing}")
        yield Padding(Text("  ".join(filter(None, facts))), INDENT)
        yield Padding(Text(description, style="dim"), INDENT)


def _described(name: str, dataset: h5py.Dataset) -> tuple[str, ...]:
    """Return a row for `HEADS`."""
    unit = dataset.attrs.get("units", "1")
    description = dataset.attrs.get("description", "") + ("" if unit == "1" else f" [{unit}]")
    shape = " × ".join(map(str, dataset.shape))
    if np.issubdtype(dataset.dtype, np.number):
        return (name, shape, str(dataset.dtype), *_range(dataset), description)
    first = ""
    last = ""
    if dataset.ndim == 1 and dataset.size:
        first = dataset.asstr()[0]
        last = dataset.asstr()[-1]
    return (name, shape, "text", first, "", last, "", description)


def _range(dataset: h5py.Dataset) -> tuple[str, str, str, str]:
    """Return minimum, mean, maximum and share of NaN.

    Of a large dataset from rows here and there.
    """
    if not dataset.size:
        return "", "", "", ""
    low = np.inf
    high = -np.inf
    total = 0.0
    numbers = 0
    values = 0
    blocks, whole = _blocks(dataset)
    for block in blocks:
        present = block[~np.isnan(block)]
        values += block.size
        numbers += present.size
        total += present.sum()
        low = min(low, present.min(initial=np.inf))
        high = max(high, present.max(initial=-np.inf))
    about = "" if whole else "~"
    missing = 1 - numbers / values
    nan = f"{about}{100 * missing:.3g} %" if missing else ""
    if not numbers:
        return "", "", "", nan
    digits = ".0f" if np.issubdtype(dataset.dtype, np.integer) else ".4g"
    mean = f"{about}{total / numbers:.4g}"
    return f"{about}{low:{digits}}", mean, f"{about}{high:{digits}}", nan


def _blocks(dataset: h5py.Dataset) -> tuple[Iterator[np.ndarray], bool]:
    """Return blocks of the values, as float64 vectors, and whether they are all there are."""
    if not dataset.ndim:
        return iter([np.asarray(dataset[()], np.float64).ravel()]), True
    row_bytes = max(1, dataset.nbytes // len(dataset))
    rows = max(1, BLOCK // row_bytes)
    starts = np.arange(0, len(dataset), rows)
    at_most = max(1, LIMIT // max(BLOCK, row_bytes))
    whole = len(starts) <= at_most
    if not whole:
        starts = starts[evenly_spaced(len(starts), at_most)]

    def read() -> Iterator[np.ndarray]:
        for start in starts:
            yield np.asarray(dataset[start : start + rows], np.float64).ravel()

    return read(), whole


def _results(results: Results) -> Iterator[Any]:
    """Show quantiles of all columns, what every tap makes available, the concepts at either end."""
    living = results.living
    if results.concepts.empty:
        return
    for sentence in results.names(WARNINGS) if WARNINGS in results else []:
        yield Text(f"note: {sentence}")
    yield heading(f"{len(living)} of {len(results.concepts)} concepts alive; quantiles")
    yield _quantiles(living)
    if VINFORMATION in results:
        yield heading("mean V-information")
        means = results.vinformation[living.index].mean(axis=1)
        bars = [(str(tap), f"{mean:.3f}", "█" * round(BAR * mean)) for tap, mean in means.items()]
        yield table(("tap", "mean", ""), bars)
    for title, (dataset, largest) in EXTREMES.items():
        if dataset.column in living:
            choose = living.nlargest if largest else living.nsmallest
            yield heading(title)
            yield _concepts(results, choose(TOP, dataset.column))


def _quantiles(concepts: pd.DataFrame) -> Table:
    """Show the quantiles of every column that is a quantity."""
    columns = [dataset.column for dataset in NO_QUANTITIES]
    quantities = concepts.drop(columns=columns, errors="ignore")
    rows = []
    for name in quantities:
        quantiles = quantities[name].quantile(list(QUANTILES))
        rows.append((str(name), *(f"{value:.4g}" for value in quantiles)))
    heads = ("", *(f"{100 * quantile:g} %" for quantile in QUANTILES))
    return table(heads, rows, right=range(1, len(heads)))


def _concepts(results: Results, concepts: pd.DataFrame) -> Table:
    """Show single concepts, a row each."""
    columns = [dataset.column for dataset in COLUMNS if dataset.column in concepts]

    def cell(column: str, value: Any) -> str:
        if column == CLASS.column:
            return results.classes[int(value)] if value >= 0 else "all"
        return f"{value:.4f}" if isinstance(value, float) else str(value)

    rows = []
    for number, concept in concepts.iterrows():
        rows.append((str(number), *(cell(column, concept[column]) for column in columns)))
    return table(("concept", *columns), rows)
