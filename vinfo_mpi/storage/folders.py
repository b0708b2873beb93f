"""Folders of many small files that are whole or not there.

They say what they were made from, like our HDF5 files.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vinfo_mpi.storage.atomic import partial, sync, write_text, writing

PROVENANCE = "provenance.json"


def begin(folder: Path, attributes: Mapping[str, Any]) -> Path:
    """Return the folder in which this one is made, on one rank.

    What an interrupted job has made of the same stays there.
    """
    unfinished = partial(folder)
    old = _old(folder)
    with writing(unfinished):
        if old.exists():  # a job was ended while it put one folder in the place of the other
            _remove(old) if folder.exists() else old.rename(folder)
        if fingerprint(unfinished) != attributes["fingerprint"]:
            _remove(unfinished)
            write_text(unfinished / PROVENANCE, json.dumps(dict(attributes), indent=1))
    return unfinished


def discard_unfinished(folder: Path) -> None:
    """Delete what an interrupted job has made of a folder."""
    with writing(folder):
        _remove(partial(folder))


def commit(folder: Path) -> None:
    """Put the finished folder in the place of the one that was there before."""
    with writing(folder):
        if folder.exists():
            folder.rename(_old(folder))
        partial(folder).rename(folder)
        sync(folder.parent)
        _remove(_old(folder))


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _remove(folder: Path) -> None:
    """Delete a folder that may not be there.

    Its fingerprint first, so that nothing takes what is left of it for the whole.
    """
    if folder.exists():
        (folder / PROVENANCE).unlink(missing_ok=True)
        shutil.rmtree(folder)


def attributes(folder: Path) -> dict[str, Any]:
    """Return what a folder says of itself, nothing where it is not there or damaged."""
    try:
        content = json.loads((folder / PROVENANCE).read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def fingerprint(folder: Path) -> str | None:
    """Return the fingerprint that a folder carries, None where there is none."""
    return attributes(folder).get("fingerprint")
