"""CRC-32 of what is stored, so that a changed bit is noticed by whoever reads it."""

from __future__ import annotations

import zlib

import numpy as np


def crc32(values: np.ndarray) -> np.uint32:
    """Return the CRC-32 of an array's bytes, in C order."""
    return np.uint32(zlib.crc32(_bytes(values).data))


def crc32_of_rows(values: np.ndarray) -> np.ndarray:
    """Return the CRC-32 of the bytes of each row: (n, ...) to (n,) uint32."""
    rows = _bytes(values).reshape(len(values), values[:1].nbytes)
    return np.fromiter(map(zlib.crc32, rows), np.uint32, len(rows))  # type: ignore[arg-type]


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8)
