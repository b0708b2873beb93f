"""Arrays of NumPy and of torch: rows in, a block at a time, and results of the same kind out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar, get_args

import numpy as np
import torch

from vinfo_mpi.errors import InputError, choices
from vinfo_mpi.parallel.partition import batches

Array = np.ndarray | torch.Tensor
A = TypeVar("A", np.ndarray, torch.Tensor)
ROWS = 1024  # that are worked on at once
POOLED = (2,)
BY_POSITION = (2, 3)
SHAPES = {
    POOLED: "one row for each image (average maps over their positions: x.mean((2, 3)))",
    BY_POSITION: "one vector for each image, (n, d), or for each position of each, (n, P, d) "
    "(of a map (n, d, h, w): x.flatten(2).transpose(1, 2))",
}


class Rows:
    """A numeric array, of which rows are brought as float64 tensors.

    Parameters
    ----------
    values : (n, ...) array or tensor
        Or what gives arrays when it is sliced, such as an h5py dataset or a memory map.
    name : str
        What messages call it.
    axes : tuple of int
        How many axes it may have: a key of `SHAPES`.

    Raises
    ------
    InputError
        If it has other axes, or holds no real numbers.
    """

    def __init__(self, values: Any, name: str, axes: tuple[int, ...] = POOLED) -> None:
        sliced = hasattr(values, "shape") and hasattr(values, "dtype")
        self.values = values if sliced else np.asarray(values)
        self.name = name
        self.shape = tuple(self.values.shape)
        if len(self.shape) not in axes:
            raise InputError(f"{name}: has the shape {self.shape}; give {SHAPES[axes]}")
        if not _is_real(self.values.dtype):
            raise InputError(f"{name}: is of type {self.values.dtype}; give real numbers")

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def device(self) -> torch.device:
        """Device of the rows."""
        if isinstance(self.values, torch.Tensor):
            return self.values.device
        return torch.device("cpu")

    def read(self, rows: range) -> torch.Tensor:
        """Return some rows in float64."""
        values = self.values[rows.start : rows.stop]
        if isinstance(values, torch.Tensor):
            return values.detach().double()
        return torch.from_numpy(np.array(values, np.float64))

    def blocks(self) -> Iterator[tuple[slice, torch.Tensor]]:
        """Yield all rows block by block, each with where it lies."""
        for rows in batches(range(len(self)), ROWS):
            yield slice(rows.start, rows.stop), self.read(rows)

    def check_finite(self) -> None:
        """Raise `InputError` that names the first row with a number that is not finite."""
        for where, block in self.blocks():
            bad = (~torch.isfinite(block)).flatten(1).any(1).nonzero()
            if len(bad):
                row = where.start + int(bad[0])
                raise InputError(
                    f"{self.name}: row {row} holds a number that is not finite; leave that image "
                    "out of all arrays, or find out where it comes from"
                )


def rows_together(rows: Rows, *others: Rows) -> None:
    """Raise `InputError` unless all have as many rows, on the same device."""
    for other in others:
        if len(other) != len(rows):
            raise InputError(
                f"{other.name} has {len(other)} rows and {rows.name} {len(rows)}; "
                "row i of all must be the same image"
            )
        if other.device != rows.device:
            raise InputError(
                f"{other.name} lies on {other.device} and {rows.name} on {rows.device}; "
                "move one of them"
            )


def whole_numbers(values: Any, name: str, n: int) -> np.ndarray:
    """Return one whole number per row: (n,) int64; raise `InputError` for anything else."""
    numbers = host(values)
    if numbers.shape != (n,) or numbers.dtype.kind not in "iub":
        raise InputError(
            f"{name}: has the shape {numbers.shape} and type {numbers.dtype}; "
            f"give one whole number for each of the {n} rows"
        )
    return numbers.astype(np.int64)


def check_choice(name: str, value: str, kind: Any) -> None:
    """Raise `InputError` unless the value is one that the `Literal` allows."""
    if value not in get_args(kind):
        raise InputError(f"{name}: '{value}' is unknown; {choices(value, get_args(kind))}")


def host(values: Any) -> np.ndarray:
    """Return an array of NumPy's, on the processor."""
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def like(reference: Any, values: Array) -> Any:
    """Return results as the kind of array that `reference` is, a tensor on its device."""
    if isinstance(reference, torch.Tensor):
        return torch.as_tensor(values, device=reference.device)
    return host(values)


def _is_real(dtype: Any) -> bool:
    if isinstance(dtype, torch.dtype):
        return not dtype.is_complex
    return dtype.kind in "fiub"
