"""Folders of many small files that are whole or not there, and say what they were made from, like our HDF5 files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vinfo_mpi.storage.files import partial, write_text, writing

PROVENANCE = "provenance.json"


def begin(folder: Path, attributes: Mapping[str, Any], force: bool = False) -> Path:
    """Return the folder in which this one is made, on one rank; what an interrupted job has made of the same stays there."""
    unfinished = partial(folder)
    if force or fingerprint(unfinished) != attributes["fingerprint"]:
        with writing(unfinished):
            shutil.rmtree(unfinished, ignore_errors=True)
        write_text(unfinished / PROVENANCE, json.dumps(dict(attributes), indent=1))
    return unfinished


def commit(folder: Path) -> None:
    """Put the finished folder in the place of the one that was there before."""
    old = folder.with_name(f".{folder.name}.old")
    with writing(folder):
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        partial(folder).rename(folder)
        shutil.rmtree(old, ignore_errors=True)


def fingerprint(folder: Path) -> str | None:
    """Return the fingerprint that a folder carries, None where there is none."""
    try:
        return json.loads((folder / PROVENANCE).read_text())["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
