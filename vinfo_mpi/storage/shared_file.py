"""A file of rows that all ranks write together through MPI-IO.

It is written under a name that no reader looks for and finished by renaming; what an interrupted
writing has left whole is given back: rows are trusted if their checksums say so, whoever wrote
them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from mpi4py import MPI

from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.storage.atomic import partial
from vinfo_mpi.storage.hdf5 import UNREADABLE
from vinfo_mpi.storage.row_content import RowContent, appear, mark_unfinished, seal
from vinfo_mpi.storage.rows import aligned_from

# Open MPI 4 builds other names on that of a file in 256 bytes, and is killed where they do not fit.
LONGEST_NAME = 235


class SharedFile:
    """One file that all ranks write through MPI-IO.

    Those of several nodes collectively, those of one node each for itself. One rank makes the file
    and one finishes it; together they write nothing but rows. A rank that fails while HDF5 writes
    what belongs to all would leave the others, and itself, waiting inside HDF5 for ever.

    Parameters
    ----------
    path : Path
        The file's name once it is whole.
    content : RowContent
    ranks : Ranks
    block : range
        This rank's rows.
    options : dict
        ``alignment`` in bytes, ``hints`` for MPI-IO.
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
        info = MPI.Info.Create()
        for key, value in options.get("hints", {}).items():
            info.Set(key, str(value))
        self._driver: dict[str, Any] = {"driver": "mpio", "info": info}
        self._alignment = options.get("alignment", 0)
        if self._alignment:
            self._driver["alignment_threshold"] = aligned_from(self._alignment)
            self._driver["alignment_interval"] = self._alignment

    def open(self, attributes: Mapping[str, Any], resume: bool) -> np.ndarray:
        """Open the file, all ranks together; return which of this rank's rows are there already.

        Returns
        -------
        (n,) bool array
        """
        _check_length(partial(self.path))
        self.ranks.on_root(lambda: self.path.parent.mkdir(parents=True, exist_ok=True))
        there = np.zeros(len(self.block), bool)
        reuse = self.ranks.on_root(self._left_behind, attributes) if resume else False
        with self.ranks.together():
            if reuse:
                with h5py.File(partial(self.path), "r") as file:
                    there = self.content.intact(file, self.block)
        if not reuse:
            self.ranks.on_root(self._create, attributes)
        self._file = h5py.File(partial(self.path), "r+", comm=self.ranks.comm, **self._driver)
        # MPI-IO's way to put together what many nodes write costs several copies: the ranks of one
        # node do without.
        one_node = self.ranks.local_size == self.ranks.size
        self._transfer = h5py.h5p.create(h5py.h5p.DATASET_XFER)
        self._transfer.set_dxpl_mpio(
            h5py.h5fd.MPIO_INDEPENDENT if one_node else h5py.h5fd.MPIO_COLLECTIVE
        )
        return there

    def write(self, name: str, start: int, values: np.ndarray | None) -> int:
        """Write rows of a column from row `start` on, all ranks together; return the bytes.

        None: nothing from this rank.
        """
        dataset = h5py.h5d.open(self._file.id, name.encode())
        column = self.content.columns[name]
        space = dataset.get_space()
        if values is None or not len(values):
            values = np.empty((1, *column.shape), column.dtype)
            memory = h5py.h5s.create_simple(values.shape)
            memory.select_none()
            space.select_none()
            written = 0
        else:
            memory = h5py.h5s.create_simple(values.shape)
            space.select_hyperslab((start, *([0] * len(column.shape))), values.shape)
            written = values.nbytes
        dataset.write(memory, space, values, dxpl=self._transfer)
        return written

    def flush(self) -> None:
        """Nothing to do: through MPI-IO, all writes go straight to the file."""

    def read(self, name: str) -> np.ndarray:
        """Return this rank's rows of a column, all ranks together."""
        # With a barrier after it, what other ranks wrote for this one can be seen (MPI-IO's rules).
        self._file.flush()
        self.ranks.barrier()
        return self._file[name][self.block.start : self.block.stop]

    def leave(self) -> None:
        """Close the unfinished file, all ranks together, for a later job to resume."""
        self._file.close()

    def finish(self, attributes: Mapping[str, Any]) -> None:
        """Make the file appear under its name, all ranks together."""
        self._file.flush()  # to the disk, from all nodes
        self._file.close()
        self.ranks.on_root(self._finish, attributes)

    def _create(self, attributes: Mapping[str, Any]) -> None:
        # The hints count when the file is made.
        with h5py.File(partial(self.path), "w", comm=MPI.COMM_SELF, **self._driver) as file:
            self.content.create(file, self.content.rows, self._alignment)
            self.content.describe(file)
            mark_unfinished(file, attributes)

    def _finish(self, attributes: Mapping[str, Any]) -> None:
        seal(h5py.File(partial(self.path), "r+"), attributes)
        appear(self.path)

    def _left_behind(self, attributes: Mapping[str, Any]) -> bool:
        """Whether an interrupted writing of this very file has left something."""
        try:
            with h5py.File(partial(self.path), "r") as file:
                return self.content.fits(file, attributes, self.content.rows)
        except UNREADABLE:
            return False


def _check_length(path: Path) -> None:
    """Raise `InputError` for a name that Open MPI cannot write a file under."""
    length = len(os.fsencode(path))
    if length > LONGEST_NAME and MPI.get_vendor()[0] == "Open MPI":
        raise InputError(
            f"cannot write {path}: its name is {length} bytes long, and Open MPI crashes on names "
            f"longer than {LONGEST_NAME}; name a shorter --run-dir, or set machine.storage: virtual"
        )
