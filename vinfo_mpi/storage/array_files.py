"""Arrays in files of other programs, read by rows: .npy, .npz, .safetensors, HDF5, zarr."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from safetensors import safe_open

from vinfo_mpi.errors import InputError, choices, in_one_line

HDF5 = (".h5", ".hdf5", ".hdf")
SUFFIXES = (".npy", ".npz", ".safetensors", *HDF5, ".zarr")


class RowsOfArray:
    """An array in a file, of which rows are read when they are needed.

    Those of .npz files are held in memory.

    Parameters
    ----------
    place : str
        A path; where the file holds several arrays, ``path:name``.
    what : str
        How sentences about it begin.

    Attributes
    ----------
    shape : tuple of int

    Raises
    ------
    InputError
        If it cannot be read.
    """

    def __init__(self, place: str, what: str) -> None:
        path, name = _split(place)
        self.where = f"{what} {place}"
        if not path.exists():
            raise InputError(
                f"{self.where}: {path} does not exist; give an array as path or path:name"
            )
        try:
            self._array = _OPEN[path.suffix](path, name)
            self.shape = tuple(int(length) for length in _shape(self._array))
        except InputError as error:
            raise InputError(f"{self.where}: {error}") from None
        except Exception as error:  # whatever the formats raise
            raise InputError(
                f"{self.where} cannot be read as {path.suffix} ({in_one_line(error)}); "
                "write it again"
            ) from None
        if not self.shape:
            raise InputError(f"{self.where} is a single number; expected a row per image")

    def require_rows(self, count: int, of_what: str) -> None:
        """Raise `InputError` if this is not a matrix with so many rows."""
        if len(self.shape) != 2 or self.shape[0] != count:
            raise InputError(
                f"{self.where} has shape {self.shape}; expected ({count}, e), a row for each of "
                f"the {of_what}"
            )

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return some rows, (n,) int64, in any order, at least one.

        Raises
        ------
        InputError
            If they hold anything but finite numbers; it says in which row.
        """
        kept, places = np.unique(rows, return_inverse=True)
        first = int(kept[0])
        if kept[-1] - first + 1 == len(kept):
            values = np.asarray(self._array[first : first + len(kept)])
        else:
            values = np.concatenate([np.asarray(self._array[row : row + 1]) for row in kept])
        if values.dtype.kind not in "buif":
            raise InputError(f"{self.where} holds {values.dtype}, not numbers")
        finite = np.isfinite(values.reshape(len(values), -1)).all(1)
        if not finite.all():
            raise InputError(
                f"{self.where}: row {kept[~finite][0]} holds NaN or infinity; fix it, or leave "
                "the image out"
            )
        return values[places]

    def all(self) -> np.ndarray:
        """Return a copy of all rows, whatever they hold."""
        return np.array(self._array[:])


def _split(place: str) -> tuple[Path, str]:
    """Return path and name of ``path:name``."""
    whole = Path(place).expanduser()
    if whole.suffix in SUFFIXES:
        return whole, ""
    path, _, name = place.rpartition(":")
    if Path(path).suffix not in SUFFIXES:
        raise InputError(
            f"'{place}' is not an array; give a file {', '.join(SUFFIXES)}, or path:name"
        )
    return Path(path).expanduser(), name


def _named(names: list[str], name: str) -> str:
    """Return the name of an array among several; of one alone it may be left out."""
    if name in names:
        return name
    if not name and len(names) == 1:
        return names[0]
    said = f"there is no '{name}'" if name else "it holds several arrays"
    raise InputError(f"{said}; give path:name, {choices(name, names)}")


def _npy(path: Path, name: str) -> Any:
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _npz(path: Path, name: str) -> Any:
    with np.load(path, allow_pickle=False) as content:
        return content[_named(content.files, name)]


def _safetensors(path: Path, name: str) -> Any:
    file = safe_open(path, "numpy")
    return file.get_slice(_named(list(file.keys()), name))


def _hdf5(path: Path, name: str) -> Any:
    file = h5py.File(path, "r")
    names: list[str] = []
    file.visititems(lambda key, item: names.append(key) if isinstance(item, h5py.Dataset) else None)
    return file[_named(names, name.strip("/"))]


def _zarr(path: Path, name: str) -> Any:
    try:
        zarr = importlib.import_module("zarr")
    except ImportError:
        raise InputError("reading it needs zarr: pip install zarr") from None
    opened = zarr.open(path, mode="r")
    if hasattr(opened, "shape"):
        return opened
    return opened[name if name else _named(sorted(opened.array_keys()), name)]


def _shape(array: Any) -> Any:
    return array.get_shape() if hasattr(array, "get_shape") else array.shape


_OPEN = {".npy": _npy, ".npz": _npz, ".safetensors": _safetensors, ".zarr": _zarr} | dict.fromkeys(
    HDF5, _hdf5
)
