"""Files that are whole or not there, and what a file system refuses, as a sentence."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vinfo_mpi.errors import Failure, InputError

NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)


def existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that is there already."""
    return next(place for place in (path, *path.resolve().parents) if place.exists())


def partial(path: Path) -> Path:
    """Return the name under which a file is written until it is whole."""
    return path.with_name(f".{path.name}.partial")


def sync(path: Path) -> None:
    """Wait until a file or the names in a folder are on disk for good."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def commit(temporary: Path, path: Path) -> None:
    """Make a finished file appear under its name, on disk for good."""
    sync(temporary)
    temporary.replace(path)
    sync(path.parent)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an error of the file system into a sentence that says where, and what to do.

    Raises
    ------
    InputError
        Where this place cannot be written to at all.
    Failure
        Where writing went wrong: a full disk, a quota.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        # HDF5 raises a RuntimeError while flushing and closing.
        if isinstance(error, RuntimeError) and "write failed" not in str(error):
            raise
        reason = _reason(error)
        if getattr(error, "errno", None) in NOT_WRITABLE:
            raise InputError(
                f"cannot write {path} ({reason}); change that, "
                "or name another folder with --run-dir"
            ) from error
        if ":" in str(path):
            raise InputError(
                f"cannot write {path} ({reason}); ROMIO, which some MPIs write files by, takes "
                "what stands before a colon for the name of a file system: name a folder without "
                "colons with --run-dir"
            ) from error
        free = shutil.disk_usage(existing(path.parent)).free
        raise Failure(
            f"cannot write {path} ({reason}); {free / 2**20:.0f} MiB are free there: make room, "
            "fix the file system or your quota, and run the same command again; "
            "what is finished is kept"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a small text file, whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a file, whole or not at all."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial(path).write_bytes(content)
        commit(partial(path), path)


def _reason(error: Exception) -> str:
    """Return what the operating system says of an error, as far as it or HDF5 passes it on."""
    number = getattr(error, "errno", None)
    if number:
        return os.strerror(number)
    if by_hdf5 := re.search(r"error message = '([^']*)'", str(error)):
        return by_hdf5[1]
    first_line = str(error).split("\n")[0]
    return first_line.split("(")[-1].rstrip(")")
