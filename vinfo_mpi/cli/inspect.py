"""Show any file of a run to a person.

What it is, where it comes from, what it holds, from where to where its values go.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
from rich.console import Console, Group

from vinfo_mpi import units
from vinfo_mpi.cli import inspect_folder, inspect_hdf5
from vinfo_mpi.cli.plain_tables import WIDE, heading, pairs, plain, table
from vinfo_mpi.errors import InputError

if TYPE_CHECKING:
    import torch


def main(description: str | None) -> None:
    """Show the files named on the command line: in colours on a terminal, else plainly."""
    parser = argparse.ArgumentParser(
        prog="python -m vinfo_mpi.inspect",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        type=Path,
        help="a file of a run, its folder, or that of its logs or its report",
    )
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # as other programs end when head has enough
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


def inspect(path: Path) -> str:
    """Return what there is to show of a file as plain text."""
    return plain(view(path))


def view(path: Path, width: int = WIDE) -> Group:
    """Return what to show of a file on so many columns; of a run's folder, its results as well.

    Raises
    ------
    InputError
        If it was not made by this package, or is damaged.
    """
    if path.is_dir():
        of_folder = [*inspect_folder.view(path)]
        if (path / "results.h5").exists():
            of_folder.append(view(path / "results.h5", width))
        return Group(heading(str(path)), *of_folder)
    if not path.exists():
        raise InputError(f"{path} does not exist; run the stage that makes it, or check the path")
    if path.name in JSON:
        content = JSON[path.name](_json(path))
    elif path.suffix == ".pt":
        content = _checkpoint(path)
    elif h5py.is_hdf5(path):
        content = inspect_hdf5.view(path, width)
    elif path.suffix in inspect_folder.TEXT:
        content = inspect_folder.text(path)
    else:
        raise InputError(
            f"{path} was not made by this package: it is not HDF5, not a checkpoint (.pt), "
            f"and not text ({', '.join(inspect_folder.TEXT)}); check the path, or, if a stage has "
            "written it, run that stage again: it is damaged"
        )
    return Group(heading(str(path)), *content)


def _checkpoint(path: Path) -> Iterator[Any]:
    """Show a checkpoint: its facts, and a row per tensor."""
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path} cannot be read as a checkpoint ({reason}); check the path"
        ) from None
    if not isinstance(content, dict) or not {"state", "fingerprint"} <= content.keys():
        raise InputError(
            f"{path} is not a checkpoint that vinfo_mpi.train has written; check the path"
        )
    state: dict[str, torch.Tensor] = content["state"]
    weights = sum(tensor.numel() for tensor in state.values())
    facts = {name: value for name, value in content.items() if not isinstance(value, dict)}
    facts["weights"] = f"{weights} in {len(state)} tensors"
    yield pairs(facts.items())
    heads = ("tensor", "shape", "type", "min", "mean", "max")
    yield table(heads, [_tensor(*item) for item in state.items()], right=range(3, 6))


def _tensor(name: str, tensor: torch.Tensor) -> list[str]:
    """Return a row for a tensor: its shape, type, minimum, mean and maximum."""
    shape = " × ".join(map(str, tensor.shape))
    row = [name, shape, str(tensor.dtype).removeprefix("torch.")]
    if not tensor.numel():
        return [*row, "", "", ""]
    values = tensor.double()
    return row + [f"{value.item():.4g}" for value in (values.min(), values.mean(), values.max())]


def _timings(content: dict) -> Iterator[Any]:
    """Show what every stage took, a row each."""
    heads = (
        *("stage", "ranks", "time", "read", "written", "exchanged"),
        *("peak memory", "longest phases"),
    )
    rows = []
    for stage, timings in content.items():
        moved = timings["bytes"]
        seconds = {
            phase: summary["mean"]
            for phase, summary in timings["seconds"].items()
            if phase != "total"
        }
        longest = sorted(seconds, key=seconds.__getitem__, reverse=True)[:3]
        rows.append(
            (
                stage,
                str(timings["ranks"]),
                units.duration(timings["seconds"]["total"]["max"]),
                units.size(moved["read"]),
                units.size(moved["written"]),
                units.size(moved["communicated"]),
                units.size(timings["peak_memory"]),
                ", ".join(f"{phase} {units.duration(seconds[phase])}" for phase in longest),
            )
        )
    yield table(heads, rows, right=range(1, 7))


def _plan(content: dict) -> Iterator[Any]:
    """Show the numbers that a plan is made from."""
    yield pairs({"fingerprint": content["fingerprint"], **content["sizes"]}.items())


JSON = {"timings.json": _timings, "plan.json": _plan}


def _json(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read ({error}); delete it and run any stage again"
        ) from None
