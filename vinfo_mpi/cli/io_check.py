"""Measure how fast all ranks write to a folder and read from it.

One shared file, a file per rank joined, plain files.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from vinfo_mpi import units
from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel import signals
from vinfo_mpi.parallel.guard import guard
from vinfo_mpi.parallel.partition import batches, block
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.storage.atomic import sync, writing
from vinfo_mpi.storage.hdf5 import FORMAT_VERSIONS, Table
from vinfo_mpi.storage.row_file import RowFile
from vinfo_mpi.storage.row_writer import RowWriter
from vinfo_mpi.storage.rows import Column, RowReader

ROW = 2**16  # float32 values: 256 KiB
BATCH = 32  # rows of one write: 8 MiB
UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
ENOUGH = 0.8  # of the rate of a file per rank: one shared file is the simpler thing to have

Kind = Literal["parallel", "virtual"]


def main(description: str | None) -> None:
    """Run the check from the command line, on all ranks."""
    parser = argparse.ArgumentParser(
        prog="python -m vinfo_mpi.io_check",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="on the file system to measure")
    parser.add_argument(
        "--size",
        default="1GiB",
        help="of each test, over all ranks (default: 1GiB; best more than the memory)",
    )
    parser.add_argument("--alignment", type=int, metavar="MiB", help="as machine.alignment")
    parser.add_argument(
        "--hint",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="as machine.hints; may be repeated",
    )
    options = parser.parse_args()
    signals.ignore()  # there is nothing to save
    with guard():
        ranks = Ranks()
        how = {
            "alignment": (options.alignment or 0) * 2**20,
            "hints": dict(_pair(hint) for hint in options.hint),
        }
        report = check(ranks, options.folder, size_of(options.size), how)
        ranks.on_root(lambda: print(report))


def size_of(text: str) -> int:
    """Return the bytes of a size such as 4GiB.

    >>> size_of("1.5MiB")
    1572864
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(\w+)", text)
    if not match or match[2] not in UNITS or not float(match[1]):
        raise InputError(
            f"--size {text}: expected a number and a unit, valid: {', '.join(UNITS)}; "
            "for example 4GiB"
        )
    return int(float(match[1]) * UNITS[match[2]])


def check(ranks: Ranks, folder: Path, size: int, options: dict[str, Any]) -> str:
    """Write and read back `size` bytes in each way, all ranks together.

    Returns
    -------
    str
        The rates and a recommendation.

    Raises
    ------
    InputError
        If there is no such folder, or no room.
    """
    rows = max(ranks.size, size // (4 * ROW))
    place = ranks.on_root(_place, folder, rows * 4 * ROW)
    rates: dict[str, tuple[float, float]] = {}
    kinds: list[Kind] = ["parallel", "virtual"] if h5py.get_config().mpi else ["virtual"]
    try:
        for kind in kinds:
            rates[kind] = _measured(ranks, place, rows, *_hdf5(ranks, place, rows, kind, options))
        rates["plain"] = _measured(ranks, place, rows, *_plain(ranks, place, rows))
    except BaseException:
        # By whoever fails: the others may wait for it in a collective call.
        shutil.rmtree(place, ignore_errors=True)
        raise
    ranks.on_root(shutil.rmtree, place)
    hosts = set(ranks.hosts())
    mebibytes = rows * 4 * ROW / 2**20
    lines = [
        f"{mebibytes:.0f} MiB over {units.counted(ranks.size, 'rank')} "
        f"on {units.counted(len(hosts), 'node')}, MiB/s",
        f"{'':<10}{'write':>10}{'per rank':>10}{'read':>10}{'per rank':>10}",
    ]
    for name, pair in rates.items():
        columns = [f"{rate:>10.0f}{rate / ranks.size:>10.0f}" for rate in pair]
        lines.append(f"{name:<10}{''.join(columns)}")
    lines.append(recommendation({name: write for name, (write, _) in rates.items()}))
    return "\n".join(lines)


def recommendation(write: dict[str, float]) -> str:
    """Return what to set, from the rates of writing."""
    if "parallel" not in write:
        return "machine.storage: virtual (this h5py is serial)"
    if write["parallel"] >= ENOUGH * write["virtual"]:
        return "machine.storage: parallel (one shared file, the default)"
    return (
        "machine.storage: virtual "
        "(or try --alignment and --hint for the shared file; see docs/cluster.md)"
    )


def _place(folder: Path, size: int) -> Path:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; name one on the file system to measure")
    free = shutil.disk_usage(folder).free
    needed = 1.1 * size
    if free < needed:
        raise InputError(
            f"{folder} has {free / 2**20:.0f} MiB free, {needed / 2**20:.0f} are needed; "
            "lower --size"
        )
    with writing(folder / "io_check"):
        return Path(tempfile.mkdtemp(prefix="vinfo-io-check-", dir=folder))


def _measured(
    ranks: Ranks, place: Path, rows: int, write: Callable[[], None], read: Callable[[range], None]
) -> tuple[float, float]:
    """Return the rates of writing and reading, MiB/s over all ranks.

    Each rank reads what another has written.
    """
    seconds = []
    of_next_rank = block(rows, ranks.size, (ranks.rank + 1) % ranks.size)
    for work in (write, lambda: read(of_next_rank)):
        ranks.barrier()
        start = time.perf_counter()
        work()
        ranks.barrier()
        seconds.append(time.perf_counter() - start)
        _forget(place)
    ranks.barrier()  # nobody looks at the files any more
    ranks.on_root(_empty, place)
    mebibytes = rows * 4 * ROW / 2**20
    return mebibytes / seconds[0], mebibytes / seconds[1]


def _hdf5(
    ranks: Ranks,
    place: Path,
    rows: int,
    kind: Kind,
    options: dict[str, Any],
) -> tuple[Callable[[], None], Callable[[range], None]]:
    """Return functions that write and read a file of rows."""
    path = place / f"{kind}.h5"
    columns = {"rows": Column((ROW,), "float32", Table(None, "numbers", axes=("row", "value")))}
    attributes = {"filetype": "vinfo-codes", "format_version": FORMAT_VERSIONS["vinfo-codes"]}

    def write() -> None:
        file = RowFile(path, columns, rows, ranks, attributes, kind=kind, options=options)
        with RowWriter([file], BATCH, ranks) as writer:
            for batch in writer.todo:
                writer.write(batch.start, {"rows": _values(batch)})

    def read(share: range) -> None:
        with RowReader(path, "vinfo-codes") as reader:  # which looks at the checksums
            for batch in batches(share, BATCH):
                reader.read("rows", batch)

    return write, read


def _plain(
    ranks: Ranks, place: Path, rows: int
) -> tuple[Callable[[], None], Callable[[range], None]]:
    """Return functions that write and read a file per rank, of nothing but the numbers."""

    def path(rank: int) -> Path:
        return place / f"plain_{rank:05d}"

    def write() -> None:
        with writing(path(ranks.rank)), path(ranks.rank).open("wb") as file:
            for batch in batches(ranks.block(rows), BATCH):
                _values(batch).tofile(file)
        sync(path(ranks.rank))

    def read(share: range) -> None:
        with path((ranks.rank + 1) % ranks.size).open("rb") as file:
            for batch in batches(share, BATCH):
                np.fromfile(file, "float32", len(batch) * ROW)

    return write, read


def _values(rows: range) -> np.ndarray:
    """Return rows that differ, so that no file system can compress them all into one; quickly."""
    numbers = np.arange(rows.start * ROW, rows.stop * ROW, dtype=np.int64)
    return numbers.astype(np.float32).reshape(-1, ROW)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _forget(folder: Path) -> None:
    """Ask the operating system to drop what it remembers of the files.

    Reading shall go to the file system.
    """
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def _pair(hint: str) -> tuple[str, str]:
    key, equals, value = hint.partition("=")
    if not equals:
        raise InputError(
            f"--hint {hint}: expected KEY=VALUE, for example --hint romio_cb_write=enable"
        )
    return key, value
