"""The finished results of an unfinished stage.

A job that was ended resumes from there.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.storage.hdf5 import (
    FORMAT_VERSIONS,
    UNREADABLE,
    Table,
    checked,
    open_checked,
    write_tables,
)

FILETYPE = "vinfo-piece"


class PartialResults:
    """Small results of one stage, a file each, in a folder that is removed when the stage is done.

    Parameters
    ----------
    outputs : Path
        Where the folder lies.
    stage : str
        Whose results they are.
    key : str
        Fingerprint of what the stage is making; results of anything else are not taken.
    ranks : Ranks

    Attributes
    ----------
    reused : int
        Results that were there already.
    made : int
        Results that this job has added.
    """

    def __init__(self, outputs: Path, stage: str, key: str, ranks: Ranks) -> None:
        self.folder = outputs / f".{stage}.pieces"
        self.stage = stage
        self.key = key
        self.ranks = ranks
        self.reused = 0
        self.made = 0

    def get(
        self, name: str, make: Callable[[], Mapping[str, np.ndarray]]
    ) -> Mapping[str, np.ndarray]:
        """Return the result that is there, or make it now, all ranks together, and keep it."""
        stored = self.read(name)
        return self.keep(name, make()) if stored is None else stored

    def read(self, name: str) -> Mapping[str, np.ndarray] | None:
        """Return the result that is there, on every rank; None if there is none."""
        stored = self.ranks.on_root(self._read, self._path(name))
        self.reused += stored is not None
        return stored

    def keep(self, name: str, values: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Write a result, all ranks together, and return it."""
        tables = {key: Table(value, "part of an unfinished stage") for key, value in values.items()}
        attributes = {
            "filetype": FILETYPE,
            "format_version": FORMAT_VERSIONS[FILETYPE],
            "fingerprint": self.key,
        }
        self.ranks.on_root(write_tables, self._path(name), tables, attributes)
        self.made += 1
        return values

    def log_reused(self, kind: str) -> None:
        """Say in the log how many were there already, and what they are called."""
        if self.reused:
            log.info("%s: %d %s reused, %d new", self.stage, self.reused, kind, self.made)

    def remove(self) -> None:
        """Forget all results."""
        self.ranks.on_root(lambda: shutil.rmtree(self.folder, ignore_errors=True))

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.h5"

    def _read(self, path: Path) -> dict[str, np.ndarray] | None:
        try:
            with open_checked(path, FILETYPE) as file:
                if file.attrs["fingerprint"] != self.key:
                    return None
                return {name: checked(file, name) for name in file}
        except (InputError, *UNREADABLE):
            return None
