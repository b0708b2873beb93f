"""A file of rows with all kinds of columns, and what it must hold."""

import h5py
import numpy as np

from vinfo_mpi.storage.hdf5 import Table
from vinfo_mpi.storage.rows import Column, RowReader

KINDS = ["virtual", "parallel"] if h5py.get_config().mpi else ["virtual"]
SAMPLE = ("sample",)
COLUMNS = {
    "samples/id": Column((), "int64", Table(None, "stable id", axes=SAMPLE)),
    "codes": Column(
        (3,),
        "float32",
        Table(None, "codes", "1", ("sample", "concept"), {"solver": "hals", "order": 2}),
    ),
    "maps": Column((2, 5), "float16", Table(None, "maps", axes=("sample", "position", "channel"))),
}
TABLES = {"concepts/index": Table(np.arange(3), "number of the concept", axes=("concept",))}
SCALES = {"sample": "samples/id", "concept": "concepts/index"}
ATTRIBUTES = {"filetype": "vinfo-codes", "format_version": 2}


def content(rows):
    """Return the values of all rows, the same on every rank."""
    generator = np.random.default_rng(rows)
    values = {
        name: generator.normal(size=(rows, *column.shape)).astype(column.dtype)
        for name, column in COLUMNS.items()
    }
    return values | {"samples/id": generator.permutation(rows) + 2**40}


def block_of(values, rows):
    """Return some of the rows of every column."""
    return {name: column[rows.start : rows.stop] for name, column in values.items()}


def assert_holds(path, rows):
    """The file holds the content of all rows, bit by bit."""
    with RowReader(path, "vinfo-codes") as reader:
        for name, values in content(rows).items():
            assert reader.read(name).tobytes() == values.tobytes()
