"""What a stage has finished so far, piece by piece, so that a job that was ended goes on from there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.storage.files import FORMAT_VERSIONS, UNREADABLE, Table, checked, open_checked, write_tables

FILETYPE = "vinfo-piece"


class Pieces:
    """Small results of one stage, a file each, in a folder that is removed when the stage is done.

    Parameters
    ----------
    folder : Path
    key : str
        Fingerprint of what the stage is making; pieces of anything else are not taken.
    ranks : Ranks

    Attributes
    ----------
    reused : int
        Pieces that were there already.
    """

    def __init__(self, folder: Path, key: str, ranks: Ranks) -> None:
        self.folder, self.key, self.ranks = folder, key, ranks
        self.reused = 0

    def get(self, name: str, make: Callable[[], Mapping[str, np.ndarray]]) -> Mapping[str, np.ndarray]:
        """Return a piece: the one that is there, or else made now, by all ranks together, and kept."""
        path = self.folder / f"{name}.h5"
        if (found := self.ranks.on_root(self._read, path)) is not None:
            self.reused += 1
            return found
        values = make()
        tables = {key: Table(value, "part of an unfinished stage") for key, value in values.items()}
        attributes = {"filetype": FILETYPE, "format_version": FORMAT_VERSIONS[FILETYPE], "fingerprint": self.key}
        self.ranks.on_root(write_tables, path, tables, attributes)
        return values

    def remove(self) -> None:
        """Forget all pieces."""
        self.ranks.on_root(lambda: shutil.rmtree(self.folder, ignore_errors=True))

    def _read(self, path: Path) -> dict[str, np.ndarray] | None:
        try:
            with open_checked(path, FILETYPE) as file:
                return {name: checked(file, name) for name in file} if file.attrs["fingerprint"] == self.key else None
        except (InputError, *UNREADABLE):
            return None
