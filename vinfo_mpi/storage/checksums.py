"""CRC-32 of what is stored, so that a changed bit is noticed by whoever reads it."""

from __future__ import annotations

import zlib

import numpy as np


def of(values: np.ndarray) -> np.uint32:
    """Return the CRC-32 of an array's bytes, in C order."""
    return np.uint32(zlib.crc32(_bytes(values)))


def of_rows(values: np.ndarray) -> np.ndarray:
    """Return the CRC-32 of the bytes of each row: (n, ...) to (n,) uint32."""
    width = values[:1].nbytes
    data = _bytes(values)
    return np.array([zlib.crc32(data[row * width : (row + 1) * width]) for row in range(len(values))], np.uint32)


def _bytes(values: np.ndarray) -> memoryview:
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
