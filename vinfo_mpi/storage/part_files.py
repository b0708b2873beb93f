"""A file of rows in parts, one per rank, joined by virtual datasets: for HDF5 without MPI.

The parts are written under a name that no reader looks for; what an interrupted writing has left
whole is given back: rows are trusted if their checksums say so, whoever wrote them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from vinfo_mpi.parallel.partition import batches, sizes
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.storage.atomic import partial, sync
from vinfo_mpi.storage.hdf5 import UNREADABLE
from vinfo_mpi.storage.row_content import (
    VERIFIED_AT_ONCE,
    RowContent,
    appear,
    consecutive,
    mark_unfinished,
    remove_folders,
    seal,
)
from vinfo_mpi.storage.rows import CHECKSUMS, parts_of


class PartFiles:
    """A part per rank; the file itself shows the rows of all parts under the same names.

    Parameters
    ----------
    path : Path
        The file's name once it is whole.
    content : RowContent
    ranks : Ranks
    block : range
        This rank's rows.
    options : dict
        Of no meaning here.
    """

    def __init__(
        self,
        path: Path,
        content: RowContent,
        ranks: Ranks,
        block: range,
        options: Mapping[str, Any],
    ) -> None:
        self.path = path
        self.content = content
        self.ranks = ranks
        self.block = block

    def open(self, attributes: Mapping[str, Any], resume: bool) -> np.ndarray:
        """Open this rank's part, with the rows that interrupted jobs have left; return which.

        Returns
        -------
        (n,) bool array
        """
        left = self.ranks.on_root(self._left_behind, attributes) if resume else []
        self._folder = self.ranks.on_root(self._make_folder)
        there = np.zeros(len(self.block), bool)
        with self.ranks.together():
            self._file = h5py.File(self._path_of(self.ranks.rank), "w")
            self.content.create(self._file, len(self.block))
            mark_unfinished(self._file, dict(attributes) | {"first_row": self.block.start})
            for path, rows in left:
                there |= self._take_over(path, rows)
            self._file.flush()
        self.ranks.on_root(remove_folders, {path.parent for path, _ in left})
        return there

    def write(self, name: str, start: int, values: np.ndarray | None) -> int:
        """Write rows of a column from row `start` on; return the bytes. None: nothing."""
        if values is None:
            return 0
        first = start - self.block.start
        self._file[name][first : first + len(values)] = values
        return values.nbytes

    def read(self, name: str) -> np.ndarray:
        """Return this rank's rows of a column."""
        return self._file[name][()]

    def flush(self) -> None:
        """Hand what was written to the operating system: it survives this process."""
        self._file.flush()

    def leave(self) -> None:
        """Close the unfinished part, for a later job to resume."""
        self._file.close()

    def finish(self, attributes: Mapping[str, Any]) -> None:
        """Join the parts under the file's name, all ranks together."""
        with self.ranks.together():
            self._file.close()
            sync(self._path_of(self.ranks.rank))
        self.ranks.on_root(self._join, attributes)

    def _join(self, attributes: Mapping[str, Any]) -> None:
        partial(self.path).unlink(missing_ok=True)
        file = h5py.File(partial(self.path), "w")
        for name in self.content.columns:
            file.create_virtual_dataset(name, self._virtual(name))
        self.content.describe(file)
        sync(self._folder)
        seal(file, attributes)
        appear(self.path, self._folder)

    def _virtual(self, name: str) -> h5py.VirtualLayout:
        """Return where the rows of a column lie in the parts."""
        column = self.content.columns[name]
        layout = h5py.VirtualLayout((self.content.rows, *column.shape), column.dtype)
        start = 0
        for rank, count in enumerate(sizes(self.content.rows, self.ranks.size)):
            if count:
                path = str(self._path_of(rank).relative_to(self.path.parent))
                source = h5py.VirtualSource(path, name, (count, *column.shape), column.dtype)
                layout[start : start + count] = source
            start += count
        return layout

    def _make_folder(self) -> Path:
        """Return a folder that no other writing has used.

        So an earlier file stays whole until the end.
        """
        folder = self.path.with_name(f"{self.path.stem}.parts.{time.time_ns():x}")
        folder.mkdir(parents=True)
        return folder

    def _path_of(self, rank: int) -> Path:
        return self._folder / f"rank_{rank:05d}.h5"

    def _left_behind(self, attributes: Mapping[str, Any]) -> list[tuple[Path, range]]:
        """Return the parts of interrupted writings of this very file, each with its rows."""
        left = []
        for path in sorted(path for folder in parts_of(self.path) for path in folder.iterdir()):
            with contextlib.suppress(*UNREADABLE), h5py.File(path, "r") as file:
                first = int(file.attrs["first_row"])
                count = len(file[CHECKSUMS])
                if self.content.fits(file, attributes, count):
                    left.append((path, range(first, first + count)))
        return left

    def _take_over(self, path: Path, rows: range) -> np.ndarray:
        """Copy what is whole in an old part and belongs to this rank; return which rows.

        Returns
        -------
        (n,) bool array
        """
        taken = np.zeros(len(self.block), bool)
        common = range(max(rows.start, self.block.start), min(rows.stop, self.block.stop))
        with h5py.File(path, "r") as file:
            for batch in batches(common, VERIFIED_AT_ONCE):
                there = batch.start - rows.start
                here = batch.start - self.block.start
                intact = self.content.intact(file, range(there, there + len(batch)))
                for stretch in consecutive(np.flatnonzero(intact)):
                    source = slice(there + stretch.start, there + stretch.stop)
                    target = slice(here + stretch.start, here + stretch.stop)
                    for name in self.content.columns:
                        self._file[name][target] = file[name][source]
                taken[here : here + len(batch)] |= intact
        return taken
