"""Writing the same arrays in both ways that we write, and plainly."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from benchmarks import limits, side_by_side
from benchmarks.side_by_side import Contestant, Options, Row
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.storage.hdf5 import FORMAT_VERSIONS, Table
from vinfo_mpi.storage.row_file import RowFile
from vinfo_mpi.storage.row_writer import RowWriter
from vinfo_mpi.storage.rows import CHECKSUMS, Column, RowReader

Arrays = dict[str, np.ndarray]
Answer = Callable[[], Arrays]  # read when the time has been taken
SHAPES = {f"tap_{number:02d}": (512,) for number in range(16)} | {"map": (49, 512)}


def compare(batches: int, folder: Path, options: Options, rows: int = 128) -> list[Row]:
    """Return what writing takes, by us and by numpy's tofile, which need not wait for the disk.

    Parameters
    ----------
    batches : int
        Number of batches that are written.
    rows : int
        Images of a batch.
    """
    generator = np.random.default_rng(0)
    values = {
        name: generator.standard_normal((rows, *shape), np.float32)
        for name, shape in SHAPES.items()
    }
    size = batches * sum(value.nbytes for value in values.values())
    numbers = count()

    def ours(kind: Literal["parallel", "virtual"]) -> Answer:
        path = folder / f"{next(numbers)}.h5"
        _write_ours(path, values, batches, kind)
        return lambda: _read_ours(path)

    def tofile(wait: bool) -> Answer:
        place = folder / f"{next(numbers)}"
        _write_plainly(place, values, batches, wait)
        return lambda: _read_plainly(place)

    def same(answers: dict[str, Answer]) -> str:
        for answer in answers.values():
            for name, written in answer().items():
                assert len(written) == batches * rows, name
                assert (written.reshape(batches, *values[name].shape) == values[name]).all(), name
        return "equal"

    kinds: list[Literal["parallel", "virtual"]] = ["virtual"]
    if h5py.get_config().mpi:
        kinds = ["parallel", "virtual"]
    limit = limits.disk_rate(folder)
    contestants = [Contestant(f"ours, {kind}", partial(ours, kind), size, limit) for kind in kinds]
    contestants += [
        Contestant("numpy's tofile", partial(tofile, False), size, limit),
        Contestant("numpy's tofile and fsync", partial(tofile, True), size, limit),
    ]
    case = f"writing {size / 2**20:.0f} MiB"
    results = side_by_side.compare(case, contestants, same, options.repeats)
    for row in results:
        row.note = f"{size / row.median / 1e9:.2f} GB/s; {row.note}".rstrip("; ")
    return results


def _write_ours(
    path: Path, values: Arrays, batches: int, kind: Literal["parallel", "virtual"]
) -> None:
    columns = {
        name: Column(shape, "float32", Table(None, "random numbers"))
        for name, shape in SHAPES.items()
    }
    attributes = {
        "filetype": "vinfo-activations",
        "format_version": FORMAT_VERSIONS["vinfo-activations"],
        "fingerprint": "0",
    }
    rows = len(values["map"])
    file = RowFile(path, columns, batches * rows, Ranks(), attributes, kind=kind)
    with RowWriter([file], rows, Ranks()) as writer:
        for block in writer.todo:
            writer.write(block.start, values)


def _read_ours(path: Path) -> Arrays:
    with RowReader(path) as file:
        return {name: file.read(name) for name in file.file if name != CHECKSUMS}


def _write_plainly(folder: Path, values: Arrays, batches: int, wait: bool) -> None:
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        files = {name: stack.enter_context((folder / name).open("wb")) for name in values}
        for _ in range(batches):
            for name, file in files.items():
                values[name].tofile(file)
        for file in files.values() if wait else ():
            file.flush()
            os.fsync(file.fileno())


def _read_plainly(folder: Path) -> Arrays:
    return {
        name: np.fromfile(folder / name, np.float32).reshape(-1, *shape)
        for name, shape in SHAPES.items()
    }
