"""A file of rows while it is being written, by all ranks together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.storage import checksums
from vinfo_mpi.storage.atomic import writing
from vinfo_mpi.storage.hdf5 import Table
from vinfo_mpi.storage.part_files import PartFiles
from vinfo_mpi.storage.row_content import RowContent
from vinfo_mpi.storage.rows import CHECKSUMS, Column, checksum_column
from vinfo_mpi.storage.shared_file import SharedFile

BACKENDS: dict[str, type[SharedFile] | type[PartFiles]] = {
    "parallel": SharedFile,
    "virtual": PartFiles,
}


class RowFile:
    """A file of rows, to be written by a `RowWriter`.

    Parameters
    ----------
    path : Path
        The file's name once it is whole.
    columns : dict of str to Column
        Datasets with one row per sample.
    rows : int
        Rows in all, over all ranks.
    ranks : Ranks
    attributes : dict
        Of the file; the same on all ranks. What is known only later is added to `attributes` before
        the writer is left.
    tables : dict of str to Table
        Small datasets without a row per sample; the same on all ranks.
    scales : dict of str to str
        Which dataset numbers which axis.
    kind : str
        ``parallel`` or ``virtual``.
    resume : bool
        Go on from what an interrupted writing with the same `fingerprint` has left.
    options : dict
        For MPI-IO: ``alignment`` in bytes, ``hints``.

    Attributes
    ----------
    block : range
        This rank's rows.
    todo : list of range
        Batches of this rank's rows of which any is to be written, once the file is open.
    reused : int
        Rows, over all ranks, that are there already and in no batch of `todo`.
    """

    def __init__(
        self,
        path: Path,
        columns: Mapping[str, Column],
        rows: int,
        ranks: Ranks,
        attributes: Mapping[str, Any],
        tables: Mapping[str, Table] | None = None,
        scales: Mapping[str, str] | None = None,
        kind: Literal["parallel", "virtual"] = "parallel",
        *,
        resume: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = path
        self.attributes = dict(attributes)
        self.block = ranks.block(rows)
        self.todo: list[range] = []
        self.reused = 0
        self._resume = resume
        self._ranks = ranks
        self._columns = dict(sorted(columns.items()))
        with_checksums = self._columns | {CHECKSUMS: checksum_column(self._columns)}
        content = RowContent(with_checksums, rows, dict(tables or {}), dict(scales or {}))
        self._backend = BACKENDS[kind](path, content, ranks, self.block, options or {})

    def open(self, batch: int) -> None:
        """Open the file, all ranks together, and find out which batches are still to be written.

        A batch begins where it does whatever is there already: what a network makes of an image
        may depend, in the last digits, on the number of images beside it.
        """
        with writing(self.path):
            there = self._backend.open(self.attributes, self._resume)
        first = self.block.start
        self.todo = [
            rows
            for rows in batches(self.block, batch)
            if not there[rows.start - first : rows.stop - first].all()
        ]
        done = len(self.block) - sum(map(len, self.todo))
        self.reused = sum(self._ranks.allgather(done))

    def write(self, start: int, values: Mapping[str, np.ndarray]) -> int:
        """Write rows from row `start` on, all ranks together, empty for nothing; return bytes."""
        rows: dict[str, np.ndarray | None] = dict.fromkeys([*self._columns, CHECKSUMS])
        if values:
            stored = [
                np.ascontiguousarray(values[name], column.dtype)
                for name, column in self._columns.items()
            ]
            sums = [checksums.crc32_of_rows(column) for column in stored]
            rows |= dict(zip(self._columns, stored, strict=True))
            rows[CHECKSUMS] = np.stack(sums, 1)
        with writing(self.path):
            written = sum(
                self._backend.write(name, start, values_of_column)
                for name, values_of_column in rows.items()
            )
            self._backend.flush()
        return written

    def read(self, name: str) -> np.ndarray:
        """Return this rank's rows of a column, all ranks together, when all are written.

        Those that were there already are included.
        """
        return self._backend.read(name)

    def finish(self) -> None:
        """Make the file appear under its name, all ranks together."""
        with writing(self.path):
            self._backend.finish(self.attributes)

    def leave(self) -> None:
        """Close the unfinished file, all ranks together, for a later job to resume."""
        with writing(self.path):
            self._backend.leave()
