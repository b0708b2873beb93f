"""What a stage has finished so far, piece by piece, so that a job that was ended goes on from there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.storage.hdf5 import FORMAT_VERSIONS, UNREADABLE, Table, checked, open_checked, write_tables

FILETYPE = "vinfo-piece"


class Pieces:
    """Small results of one stage, a file each, in a folder that is removed when the stage is done.

    Parameters
    ----------
    outputs : Path
        Where the folder lies.
    stage : str
        Whose pieces they are.
    key : str
        Fingerprint of what the stage is making; pieces of anything else are not taken.
    ranks : Ranks

    Attributes
    ----------
    reused : int
        Pieces that were there already.
    """

    def __init__(self, outputs: Path, stage: str, key: str, ranks: Ranks) -> None:
        self.folder, self.stage, self.key, self.ranks = outputs / f".{stage}.pieces", stage, key, ranks
        self.reused = 0

    def get(self, name: str, make: Callable[[], Mapping[str, np.ndarray]]) -> Mapping[str, np.ndarray]:
        """Return a piece: the one that is there, or else made now, by all ranks together, and kept."""
        found = self.read(name)
        return self.keep(name, make()) if found is None else found

    def read(self, name: str) -> Mapping[str, np.ndarray] | None:
        """Return the piece that is there, on every rank; None if there is none."""
        found = self.ranks.on_root(self._read, self._path(name))
        self.reused += found is not None
        return found

    def keep(self, name: str, values: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Write a piece, all ranks together, and return it."""
        tables = {key: Table(value, "part of an unfinished stage") for key, value in values.items()}
        attributes = {"filetype": FILETYPE, "format_version": FORMAT_VERSIONS[FILETYPE], "fingerprint": self.key}
        self.ranks.on_root(write_tables, self._path(name), tables, attributes)
        return values

    def remove(self) -> None:
        """Forget all pieces."""
        self.ranks.on_root(lambda: shutil.rmtree(self.folder, ignore_errors=True))

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.h5"

    def _read(self, path: Path) -> dict[str, np.ndarray] | None:
        try:
            with open_checked(path, FILETYPE) as file:
                return {name: checked(file, name) for name in file} if file.attrs["fingerprint"] == self.key else None
        except (InputError, *UNREADABLE):
            return None
