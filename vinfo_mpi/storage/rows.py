"""Files of rows, one per sample: their columns, and reading them, whichever way they were written.

Where h5py has MPI, all ranks write one shared file through MPI-IO. Where it has not, each rank
writes a part and rank 0 joins the parts by virtual datasets under the same names, so that no reader
can tell.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import h5py
import numpy as np

from vinfo_mpi.errors import InputError
from vinfo_mpi.storage import checksums
from vinfo_mpi.storage.atomic import partial
from vinfo_mpi.storage.hdf5 import UNREADABLE, Table, checked, open_checked

CHUNK_BYTES = 2**20
LARGEST_WRITE = 2**30  # bytes in one write: HDF5 1.10 fails above 2 GiB
CHECKSUMS = "checksums"  # the dataset with the checksum of every row of every other column


@dataclass(frozen=True)
class Column:
    """A dataset with one row per sample: shape of a row, dtype, and what the values are."""

    shape: tuple[int, ...]
    dtype: str
    table: Table  # description, units, axes, attributes; its values come row by row

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize

    def chunks(self, rows: int, alignment: int = 0) -> tuple[int, ...]:
        """Return chunks of whole rows.

        Of at most one MiB or `alignment` bytes unless a row is larger.
        """
        fitting = max(1, (alignment or CHUNK_BYTES) // max(1, self.row_bytes))
        return (min(max(1, rows), fitting), *self.shape)

    def stored(self, rows: int, alignment: int = 0) -> int:
        """Return the bytes of so many rows in a file.

        Whole chunks, each at a multiple of the alignment.
        """
        chunk = self.chunks(rows, alignment)[0]
        size = chunk * self.row_bytes
        if alignment and size >= aligned_from(alignment):
            size = -(-size // alignment) * alignment
        return -(-rows // chunk) * size


def aligned_from(alignment: int) -> int:
    """Return from how many bytes on a piece is aligned.

    What is much smaller would waste the stretch up to the next.
    """
    return alignment // 2


def checksum_column(columns: Mapping[str, Column]) -> Column:
    """Return the column that holds the checksums of the others, in their order."""
    text = "CRC-32 of the bytes of each row of the datasets that the attribute columns names"
    table = Table(None, text, axes=("sample", "column"), attributes={"columns": " ".join(columns)})
    return Column((len(columns),), "uint32", table)


def storage_kind(setting: Literal["auto", "parallel", "virtual"]) -> Literal["parallel", "virtual"]:
    """Return how row files are written here.

    Raises
    ------
    InputError
        Where the setting is parallel and h5py is serial.
    """
    parallel = bool(h5py.get_config().mpi)
    if setting == "parallel" and not parallel:
        raise InputError(
            "machine.storage is parallel, but this h5py is serial; "
            "use auto or virtual, or set up an MPI h5py"
        )
    return "parallel" if parallel and setting != "virtual" else "virtual"


def batch_rows(columns: Mapping[str, Column], at_most: int) -> int:
    """Return a batch size whose writes stay below the largest that HDF5 takes."""
    largest_row = max((column.row_bytes for column in columns.values()), default=1)
    return max(1, min(at_most, LARGEST_WRITE // max(1, largest_row)))


def row_bytes(columns: Mapping[str, Column]) -> int:
    """Return the bytes of one row of all columns."""
    return sum(column.row_bytes for column in columns.values())


def fingerprint(path: Path, filetype: str) -> str | None:
    """Return the fingerprint of a file of rows.

    None where it or one of its parts is missing or damaged.
    """
    try:
        with RowReader(path, filetype) as file:
            return str(file.attributes["fingerprint"])
    except (InputError, KeyError):
        return None


def holds(path: Path, name: str) -> bool:
    """Whether a finished file of rows has a dataset of this name."""
    with h5py.File(path, "r") as file:
        return name in file


def remove(path: Path) -> None:
    """Delete a file of rows, finished or not, with its parts."""
    path.unlink(missing_ok=True)
    partial(path).unlink(missing_ok=True)
    for folder in parts_of(path):
        shutil.rmtree(folder, ignore_errors=True)


def parts_of(path: Path) -> list[Path]:
    """Return the folders of parts under a file's name, of finished and of interrupted writings."""
    return list(path.parent.glob(f"{path.stem}.parts.*"))


def made_of(path: Path) -> list[Path]:
    """Return a finished file of rows and the folders of its parts; nothing where it is damaged."""
    try:
        with RowReader(path) as file:
            folders = {path.parent / Path(name).parts[0] for name in file.parts()}
    except InputError:
        return []
    return [path, *sorted(folders)]


class Rows(Protocol):
    """Interface of what is read like a file of codes: a row per image."""

    @property
    def path(self) -> Path:
        """The file, for sentences."""

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a dataset."""

    def read(self, name: str, rows: range | None = None) -> np.ndarray:
        """Return some rows of a dataset; default: all."""


class RowReader:
    """Reads rows of a finished file, whichever way it was written.

    Parameters
    ----------
    path : Path
    filetype : str, optional
        What the file must say that it is; default: any of our files.
    count_bytes : function of an int
        Told at the end how many bytes were read.
    """

    def __init__(
        self,
        path: Path,
        filetype: str | None = None,
        count_bytes: Callable[[int], None] = lambda count: None,
    ) -> None:
        self.path = path
        self._count_bytes = count_bytes
        self.file = open_checked(path, filetype)
        self.attributes = dict(self.file.attrs)
        self.bytes_read = 0
        self._check_parts()
        with_sums = self.file[CHECKSUMS].attrs["columns"].split() if CHECKSUMS in self.file else []
        self._column_of_sums = {name: number for number, name in enumerate(with_sums)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self._count_bytes(self.bytes_read)

    def __contains__(self, name: str) -> bool:
        return name in self.file

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of all datasets that have one per sample."""
        datasets = [self.file[name] for name in self._column_of_sums]
        return sum(math.prod(values.shape[1:]) * values.dtype.itemsize for values in datasets)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a dataset."""
        return self.file[name].shape

    def read(self, name: str, rows: range | None = None) -> np.ndarray:
        """Return the rows of a dataset, all of them by default.

        Raises
        ------
        InputError
            If they cannot be read, or are not as they were written.
        """
        if name not in self._column_of_sums:
            values = checked(self.file, name)
            self.bytes_read += values.nbytes
            return values
        here = slice(None) if rows is None else slice(rows.start, rows.stop)
        try:
            values = self.file[name][here]
            sums = self.file[CHECKSUMS][here][:, self._column_of_sums[name]]
        except UNREADABLE as error:
            raise InputError(
                f"{self.path}: /{name} cannot be read ({error}); "
                "delete the file and run its stage again"
            ) from None
        self.bytes_read += values.nbytes
        changed = np.flatnonzero(sums != checksums.crc32_of_rows(values))
        if len(changed):
            row = changed[0] + (rows.start if rows else 0)
            raise InputError(
                f"{self.path}: row {row} of /{name} is not what was written "
                "(its checksum differs); delete the file and run its stage again"
            )
        return values

    def names(self, group: str) -> list[str]:
        """Return the names in a group."""
        return list(self.file[group])

    def attribute(self, name: str, key: str) -> Any:
        """Return an attribute of a dataset or group."""
        return self.file[name].attrs[key]

    def parts(self) -> list[str]:
        """Return where the parts lie that virtual datasets show, from the file's folder.

        All columns lie in the same parts, their checksums too.
        """
        if CHECKSUMS not in self.file or not self.file[CHECKSUMS].is_virtual:
            return []
        return sorted({source.file_name for source in self.file[CHECKSUMS].virtual_sources()})

    def _check_parts(self) -> None:
        """A virtual dataset may read as zeros where a part is missing or damaged: look before."""
        for name in self.parts():
            try:
                h5py.File(self.path.parent / name, "r").close()
            except OSError as error:
                self.file.close()
                raise InputError(
                    f"{self.path}: its part {name} is missing or damaged ({error}); "
                    "copy the parts along, or run its stage again"
                ) from None
