"""Show any of our HDF5 files to a person: what it is, where it comes from, what it holds.

python -m vinfo_mpi.inspect runs/quickstart/results.h5
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import h5py

from vinfo_mpi.errors import InputError
from vinfo_mpi.storage.files import open_checked

TOP = 10


def inspect(path: Path) -> str:
    """Return the description of a file; raise `InputError` where it is not one of ours."""
    if path.is_dir():
        path = path / "results.h5"
    with open_checked(path) as file:
        lines = [f"{path}", ""]
        for name, value in file.attrs.items():
            if name not in ("config", "inputs", "filetype", "complete"):
                lines.append(f"  {name:<16} {value}")
        lines.insert(1, f"  {file.attrs['filetype']}")
        lines += ["", f"  {'dataset':<34} {'shape':<18} {'type':<9} description"]
        file.visititems(lambda name, thing: lines.append(_line(name, thing)) if isinstance(thing, h5py.Dataset) else None)
        filetype = file.attrs["filetype"]
    if filetype == "vinfo-results":
        lines += ["", *_concepts(path)]
    return "\n".join(lines)


def _line(name: str, dataset: h5py.Dataset) -> str:
    unit = dataset.attrs.get("units", "1")
    description = dataset.attrs.get("description", "") + ("" if unit == "1" else f" [{unit}]")
    kind = "text" if h5py.check_string_dtype(dataset.dtype) else str(dataset.dtype)
    return f"  /{name:<33} {' × '.join(map(str, dataset.shape)):<18} {kind:<9} {description}"


def _concepts(path: Path) -> list[str]:
    from vinfo_mpi.results import Results

    table: Any = Results(path).concepts
    living = table[table["alive"]] if "alive" in table else table
    numbers = living.drop(columns=["name", "class", "alive"], errors="ignore")
    lines = [f"{len(living)} of {len(table)} concepts alive; quantiles:", ""]
    lines += numbers.quantile([0, 0.1, 0.5, 0.9, 1]).T.to_string(float_format="%.4f").split("\n")
    if "complexity" in living:
        for title, rows in (
            ("simplest", living.nsmallest(TOP, "complexity")),
            ("most complex", living.nlargest(TOP, "complexity")),
        ):
            lines += ["", f"{title}:", *rows.to_string(float_format="%.4f").split("\n")]
    return lines


def main() -> None:
    """Print the files named on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m vinfo_mpi.inspect", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", metavar="FILE", type=Path, help="a file, or a run's folder for its results")
    try:
        for path in parser.parse_args().files:
            print(inspect(path))
    except InputError as error:
        print(f"vinfo_mpi: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
