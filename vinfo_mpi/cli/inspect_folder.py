"""Folders and text for a person: a run, a report, logs, configurations and lists."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.text import Text

from vinfo_mpi import units
from vinfo_mpi.cli.plain_tables import pairs, table
from vinfo_mpi.errors import InputError

RUN = {  # what lies in a run's folder
    "config.yaml": "the settings that every stage was last run with",
    "images.txt.gz": "the images that the run has begun with",
    "skipped.json": "images that cannot be read",
    "checkpoints": "weights, a file per epoch",
    "activations": "what the network shows of every image, a file per checkpoint",
    "dictionary.h5": "the atoms of the concepts",
    "codes.h5": "how much of each concept an image has",
    "results.h5": "the numbers; shown below",
    "magnitudes.h5": "the mean spectrum of the images",
    "visualisation.h5": "pictures drawn to activate concepts",
    "report": "pages: open report/index.html in a browser",
    "sedimentation": "concepts of earlier epochs",
    "autoencoder": "a sparse autoencoder, and what its features are like",
    "merging": "networks whose channels were merged, a file per threshold",
    "logs": "what every stage has said, a file each",
    "timings.json": "what every stage took",
    "plan.json": "the numbers that a plan is made from",
    "previous": "results that others have replaced",
}
TEXT = (".yaml", ".yml", ".log", ".json", ".gz")


def view(folder: Path) -> Iterator[Any]:
    """Yield what to show of a folder: a run's, one of logs, or a report.

    Raises
    ------
    InputError
        If it is not one of these.
    """
    names = {path.name for path in folder.iterdir()}
    logs = sorted(folder.glob("*.log"))
    if {"config.yaml", "results.h5"} & names:
        rows = [(name, _size(folder / name), RUN[name]) for name in RUN if name in names]
        yield table(("file", "size", "what it is"), rows, right=(1,))
    elif {"index.html", "provenance.json"} <= names:
        yield Text(f"open {folder / 'index.html'} in a browser")
        provenance = json.loads((folder / "provenance.json").read_text())
        yield pairs((name, value) for name, value in provenance.items() if name != "config")
    elif logs:
        yield table(("log", "last line"), [(path.name, _last_line(path)) for path in logs])
    else:
        raise InputError(
            f"{folder} is not a run: it holds neither config.yaml nor results.h5; name the "
            "folder of a run, such as runs/quickstart, or a file of it"
        )


def text(path: Path) -> Iterator[Any]:
    """Yield the content of a text file, packed or not; raise `InputError` if it is damaged."""
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        yield Text(content.decode().rstrip())
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{path} cannot be read as text ({error}); check the path") from None


def _size(path: Path) -> str:
    """Return the size of a file, or how many files a folder holds."""
    if path.is_dir():
        return f"{len([*path.iterdir()])} files"
    return units.size(path.stat().st_size)


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").splitlines()
    return lines[-1] if lines else ""
