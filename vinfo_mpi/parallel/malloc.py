"""Settings by which the C library gives memory back to the kernel.

The kernel hands it out again page by page. A network on a CPU frees and takes the same few arrays
layer after layer. By default what is free at the end of the heap goes back to the kernel beyond
64 MiB, and clearing new pages costs as much as the layers themselves.
"""

from __future__ import annotations

import ctypes
import os
import platform

import psutil

# Bytes; larger arrays are mapped one by one, and go back at once, as by default.
LARGEST_ON_HEAP = 2**25
RETAINED = 2**27  # bytes at the end of the heap
# The variables by which a user sets the same, and the parameters of mallopt(3) as malloc.h numbers
# them.
SETTINGS = {
    "MALLOC_TRIM_THRESHOLD_": (-1, RETAINED),
    "MALLOC_MMAP_THRESHOLD_": (-3, LARGEST_ON_HEAP),
}


def keep_freed() -> bool:
    """Keep memory that this process has freed for its next arrays; return whether that is so.

    Within the bounds above. Call this before threads start. Nothing changes where the user has set
    one of these variables, or where the C library is not GNU's.
    """
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in SETTINGS):
        return False
    library = ctypes.CDLL(None)
    return all(library.mallopt(number, size) for number, size in SETTINGS.values())


def give_back() -> None:
    """Give everything back that is kept."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def resident() -> int:
    """Return the bytes that this process holds, when it has given back what it had kept."""
    give_back()
    return psutil.Process().memory_info().rss
