"""Show any file of a run to a person: what it is, where it comes from, what it holds, from where to where its values go."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from vinfo_mpi import units
from vinfo_mpi.errors import InputError
from vinfo_mpi.storage.rows import RowReader

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from vinfo_mpi.results.tables import Results

TOP = 5  # concepts at either end
BAR = 30  # characters of a bar of length 1
BLOCK, LIMIT = 2**20, 2**24  # bytes of a dataset that are read at once, and in all
WIDE = 400  # characters, where no terminal limits a line
NARROW = 110  # in terminals below this, descriptions are left out
HIDDEN = ("config", "complete", "filetype")  # attributes that are long, or said otherwise
QUANTILES = (0.0, 0.1, 0.5, 0.9, 1.0)
SHOWN = ("name", "class", "complexity", "complexity_se", "temporal", "importance")


def view(path: Path, width: int = WIDE) -> Group:
    """Return what to show of a file, of a run's folder its results, on so many columns; raise `InputError` if it is not ours."""
    if path.is_dir():
        path = path / "results.h5"
    if not path.exists():
        raise InputError(f"{path} is not there; run the stage that makes it, or check the path")
    if path.name in JSON:
        parts = JSON[path.name](_json(path))
    elif path.suffix == ".pt":
        parts = _checkpoint(path)
    elif h5py.is_hdf5(path):
        parts = _hdf5(path, width)
    else:
        raise InputError(
            f"{path} is no file of ours: it is not HDF5, no checkpoint (.pt), and not {' or '.join(JSON)}; check the path, or, if "
            "a stage has written it, run that stage again: it is damaged"
        )
    return Group(_heading(str(path)), *parts)


def inspect(path: Path) -> str:
    """Return the same as plain text."""
    text = io.StringIO()
    Console(file=text, width=WIDE, color_system=None).print(view(path), highlight=False)
    return "\n".join(line.rstrip() for line in text.getvalue().rstrip().split("\n"))


def _hdf5(path: Path, width: int) -> Iterator[Any]:
    with RowReader(path) as file:
        kind = file.attributes["filetype"]
        yield Text(kind)
        yield _pairs((name, value) for name, value in file.attributes.items() if name not in HIDDEN)
        names: list[str] = []
        file.file.visititems(lambda name, thing: names.append(name) if isinstance(thing, h5py.Dataset) else None)
        rows = [_described(f"/{name}", file.file[name]) for name in names]
        heads, shown = ("dataset", "shape", "type", "min", "mean", "max", "NaN", "description"), 7 if width < NARROW else 8
        yield _table(heads[:shown], (row[:shown] for row in rows), right=range(3, 7))
    if any("~" in row[4] for row in rows):
        yield Text(f"~ of rows here and there, {units.size(LIMIT)} in all")
    if kind == "vinfo-results":
        from vinfo_mpi.results.tables import Results

        yield from _results(Results(path))


def _described(name: str, dataset: h5py.Dataset) -> tuple[str, ...]:
    unit, shape = dataset.attrs.get("units", "1"), " × ".join(map(str, dataset.shape))
    description = dataset.attrs.get("description", "") + ("" if unit == "1" else f" [{unit}]")
    if not np.issubdtype(dataset.dtype, np.number):
        ends = (dataset.asstr()[0], "", dataset.asstr()[-1]) if dataset.ndim == 1 and dataset.size else ("", "", "")
        return (name, shape, "text", *ends, "", description)
    return (name, shape, str(dataset.dtype), *_range(dataset), description)


def _range(dataset: h5py.Dataset) -> tuple[str, str, str, str]:
    """Return minimum, mean, maximum and share of NaN; of a large dataset from rows here and there."""
    if not dataset.size:
        return "", "", "", ""
    row_bytes = dataset.nbytes // max(1, len(dataset)) if dataset.ndim else dataset.nbytes
    rows = max(1, BLOCK // row_bytes)
    starts = np.arange(0, len(dataset) if dataset.ndim else 1, rows)
    most = max(1, LIMIT // max(BLOCK, row_bytes))
    part = len(starts) > most
    if part:
        starts = starts[np.linspace(0, len(starts) - 1, most).astype(int)]
    low, high, total, count, seen = np.inf, -np.inf, 0.0, 0, 0
    for start in starts:
        values = np.asarray(dataset[start : start + rows] if dataset.ndim else dataset[()]).astype(np.float64).ravel()
        numbers = values[~np.isnan(values)]
        seen, count, total = seen + values.size, count + numbers.size, total + numbers.sum()
        low, high = min(low, numbers.min(initial=np.inf)), max(high, numbers.max(initial=-np.inf))
    about = "~" if part else ""
    whole = np.issubdtype(dataset.dtype, np.integer)
    ends = tuple("" if not count else f"{about}{value:.0f}" if whole else f"{about}{value:.4g}" for value in (low, high))
    mean, missing = f"{about}{total / count:.4g}" if count else "", 1 - count / seen
    return ends[0], mean, ends[1], f"{about}{100 * missing:.3g} %" if missing else ""


def _results(results: Results) -> Iterator[Any]:
    """Show quantiles of all columns, what every tap makes available, and the concepts at either end."""
    table = results.concepts
    living = table[table["alive"]] if "alive" in table else table
    numbers = living.drop(columns=["name", "class", "alive", "cluster"], errors="ignore")
    yield _heading(f"{len(living)} of {len(table)} concepts alive; quantiles")
    rows = ((str(name), *(f"{value:.4g}" for value in numbers[name].quantile(list(QUANTILES)))) for name in numbers)
    yield _table(("", *(f"{100 * one:g} %" for one in QUANTILES)), rows, right=range(1, 1 + len(QUANTILES)))
    if "vinformation" in results.datasets:
        yield _heading("mean V-information")
        means = results.vinformation[living.index].mean(axis=1)
        yield _table(("tap", "mean", ""), ((str(tap), f"{value:.3f}", "█" * round(BAR * value)) for tap, value in means.items()))
    for title, column, largest in (
        ("simplest", "complexity", False),
        ("most complex", "complexity", True),
        ("most important", "importance", True),
        ("learned last", "temporal", True),
    ):
        if column in living:
            yield _heading(title)
            yield _concepts(results, living.nlargest(TOP, column) if largest else living.nsmallest(TOP, column))


def _concepts(results: Results, rows: pd.DataFrame) -> Table:
    columns = [name for name in SHOWN if name in rows]

    def cell(name: str, value: Any) -> str:
        if name == "class":
            return results.classes[int(value)] if value >= 0 else "all"
        return f"{value:.4f}" if isinstance(value, float) else str(value)

    cells = ((str(index), *(cell(name, row[name]) for name in columns)) for index, row in rows.iterrows())
    return _table(("concept", *columns), cells)


def _checkpoint(path: Path) -> Iterator[Any]:
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        raise InputError(f"{path} cannot be read as a checkpoint ({str(error).splitlines()[0]}); check the path") from None
    if not isinstance(content, dict) or not {"state", "fingerprint"} <= content.keys():
        raise InputError(f"{path} is not a checkpoint that vinfo_mpi.train has written; check the path")
    state: dict[str, torch.Tensor] = content["state"]
    size = sum(one.numel() for one in state.values())
    facts = {name: value for name, value in content.items() if not isinstance(value, dict)}
    yield _pairs({**facts, "weights": f"{size} in {len(state)} tensors"}.items())
    rows = []
    for name, tensor in state.items():
        shape, kind = " × ".join(map(str, tensor.shape)), str(tensor.dtype).removeprefix("torch.")
        values = tensor.double()
        ends = (f"{value.item():.4g}" for value in (values.min(), values.mean(), values.max())) if tensor.numel() else ("", "", "")
        rows.append((name, shape, kind, *ends))
    yield _table(("tensor", "shape", "type", "min", "mean", "max"), rows, right=range(3, 6))


def _timings(content: dict) -> Iterator[Any]:
    rows = []
    for stage, one in content.items():
        moved = (units.size(one["bytes"][name]) for name in ("read", "written", "communicated"))
        seconds = {name: one["mean"] for name, one in one["seconds"].items() if name != "total"}
        longest = sorted(seconds, key=seconds.__getitem__, reverse=True)[:3]
        phases = ", ".join(f"{name} {units.duration(seconds[name])}" for name in longest)
        rows.append((stage, str(one["ranks"]), units.duration(one["seconds"]["total"]["max"]), *moved,
                     units.size(one["peak_memory"]), phases))  # fmt: skip
    heads = ("stage", "ranks", "time", "read", "written", "exchanged", "peak memory", "longest phases")
    yield _table(heads, rows, right=range(1, 7))


def _plan(content: dict) -> Iterator[Any]:
    yield _pairs({"fingerprint": content["fingerprint"], **content["sizes"]}.items())


JSON = {"timings.json": _timings, "plan.json": _plan}


def _json(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); delete it and run any stage again") from None


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _pairs(pairs: Iterable[tuple[str, Any]]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in pairs:
        table.add_row(Text(name, style="dim"), Text(str(value)))
    return table


def _table(heads: Iterable[str], rows: Iterable[tuple[str, ...]], right: Iterable[int] = ()) -> Table:
    """Return a table of plain text: brackets in it are no markup."""
    table, right = Table(box=box.SIMPLE_HEAD, padding=0), set(right)
    for place, head in enumerate(heads):
        table.add_column(head, justify="right" if place in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def main(description: str | None) -> None:
    """Show the files named on the command line: in colours on a terminal, else plainly."""
    parser = argparse.ArgumentParser(
        prog="python -m vinfo_mpi.inspect", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", metavar="FILE", type=Path, help="a file, or a run's folder for its results")
    console = Console(color_system=None if os.environ.get("NO_COLOR") else "auto", highlight=False)
    try:
        for path in parser.parse_args().files:
            if console.is_terminal:
                console.print(view(path, console.width))
            else:
                print(inspect(path))
    except InputError as error:
        print(f"vinfo_mpi: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
