"""Row files, written by one rank."""

from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.storage import rows as row_files
from vinfo_mpi.storage.hdf5 import Table
from vinfo_mpi.storage.row_file import RowFile
from vinfo_mpi.storage.row_writer import RowWriter
from vinfo_mpi.storage.rows import Column, RowReader, batch_rows, storage_kind

KINDS = ["virtual", "parallel"] if h5py.get_config().mpi else ["virtual"]
ATTRIBUTES = {"filetype": "vinfo-codes", "format_version": 2}
kinds = pytest.mark.parametrize("kind", KINDS)
row_shapes = st.lists(st.integers(1, 4), max_size=3).map(tuple)
dtypes = st.sampled_from(["float16", "float32", "float64", "int64", "uint8"])


def write(path, columns, values, batch, kind):
    """Write a file from whole columns; return what the writer says it has written."""
    count = len(next(iter(values.values())))
    file = RowFile(path, columns, count, Ranks(), ATTRIBUTES, kind=kind)
    with RowWriter([file], batch, Ranks()) as writer:
        for rows in batches(range(count), batch):
            writer.write(
                rows.start,
                {name: column[rows.start : rows.stop] for name, column in values.items()},
            )
    return writer.bytes_written


@kinds
@settings(max_examples=40)
@given(data=st.data(), count=st.integers(0, 12), batch=st.integers(1, 15))
def test_what_is_written_is_read_back(kind, data, count, batch):
    kinds_of_rows = data.draw(
        st.dictionaries(
            st.sampled_from(["a", "b/c", "b/d"]), st.tuples(row_shapes, dtypes), min_size=1
        )
    )
    columns = {
        name: Column(shape, dtype, Table(None, name))
        for name, (shape, dtype) in kinds_of_rows.items()
    }
    values = {
        name: data.draw(arrays.arrays(dtype, (count, *shape)))
        for name, (shape, dtype) in kinds_of_rows.items()
    }
    some = data.draw(
        st.integers(0, count).flatmap(
            lambda start: st.integers(start, count).map(lambda stop: range(start, stop))
        )
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.h5"
        written = write(path, columns, values, batch, kind)
        with RowReader(path, "vinfo-codes") as reader:
            for name, expected in values.items():
                stored = reader.read(name)
                assert name in reader
                assert stored.dtype == expected.dtype
                assert stored.shape == reader.shape(name) == expected.shape
                assert stored.tobytes() == expected.tobytes()
                assert (
                    reader.read(name, some).tobytes() == expected[some.start : some.stop].tobytes()
                )
            held = sum(column.nbytes for column in values.values())
            assert written == held + 4 * count * len(columns)  # with the checksums
            assert reader.bytes_read == held + sum(
                column[some.start : some.stop].nbytes for column in values.values()
            )


@kinds
def test_values_become_the_columns_type(tmp_path, kind):
    path = tmp_path / "codes.h5"
    column = Column((2,), "float16", Table(None, "codes"))
    values = np.array([[0.1, 2.0], [3.0, 4.5]])
    write(path, {"codes": column}, {"codes": values}, 1, kind)
    with RowReader(path, "vinfo-codes") as reader:
        assert reader.read("codes").tolist() == values.astype("float16").tolist()


@kinds
def test_attributes_and_names(tmp_path, kind):
    table = Table(None, "codes", attributes={"order": 4})
    path = tmp_path / "codes.h5"
    columns = {name: Column((), "uint8", table) for name in ("taps/a/x", "taps/b")}
    write(path, columns, {name: np.arange(3, dtype="uint8") for name in columns}, 2, kind)
    with RowReader(path, "vinfo-codes") as reader:
        assert reader.names("taps") == ["a", "b"]
        assert reader.attribute("taps/a/x", "order") == 4
        assert reader.attributes.items() >= (ATTRIBUTES | {"complete": 1}).items()
        assert "taps/c" not in reader


@kinds
@pytest.mark.parametrize(
    "wrong",
    [(0, np.ones((2, 4))), (3, np.ones((2, 3))), (0, np.array([["a", "b", "c"]]))],
    ids=["shape", "beyond the last row", "type"],
)
def test_an_error_of_the_writing_thread_surfaces(tmp_path, kind, wrong):
    """And the file before stays."""
    path = tmp_path / "codes.h5"
    columns = {"codes": Column((3,), "float32", Table(None, "codes"))}
    write(path, columns, {"codes": np.zeros((1, 3))}, 1, kind)
    file = RowFile(path, columns, 4, Ranks(), ATTRIBUTES, kind=kind)
    with (
        pytest.raises((OSError, TypeError, ValueError)),
        RowWriter([file], 2, Ranks()) as writer,
    ):
        writer.write(wrong[0], {"codes": wrong[1]})
        writer.drain()
    with RowReader(path, "vinfo-codes") as reader:
        assert reader.read("codes").tolist() == [[0, 0, 0]]


@kinds
def test_an_error_ends_a_long_series_of_writes(tmp_path, kind):
    """Soon, and without waiting for a thread that takes no more."""
    columns = {"codes": Column((3,), "float32", Table(None, "codes"))}
    file = RowFile(tmp_path / "codes.h5", columns, 50, Ranks(), ATTRIBUTES, kind=kind)
    with (
        pytest.raises((OSError, TypeError, ValueError)),
        RowWriter([file], 1, Ranks()) as writer,
    ):
        for row in range(50):
            writer.write(row, {"codes": np.ones((1, 4))})
    assert row < 10
    assert not (tmp_path / "codes.h5").exists()


@pytest.mark.parametrize(
    ("columns", "at_most", "expected"),
    [
        ({}, 100, 100),
        ({"small": ((), "uint8")}, 100, 100),
        ({"small": ((), "uint8"), "large": ((2**20,), "float32")}, 10_000, 256),
        ({"exactly": ((2**20, 2**4), "float16")}, 32, 32),
        ({"exactly": ((2**20, 2**4), "float16")}, 33, 32),
        ({"huge": ((2**20, 2**10), "float32")}, 100, 1),
    ],
)
def test_a_batch_stays_below_the_largest_write(columns, at_most, expected):
    tables = {
        name: Column(shape, dtype, Table(None, name)) for name, (shape, dtype) in columns.items()
    }
    assert batch_rows(tables, at_most) == expected


@given(row_shapes, dtypes, st.integers(0, 10**6))
def test_chunks_are_whole_rows_of_about_a_mebibyte(shape, dtype, count):
    column = Column(shape, dtype, Table(None, "rows"))
    first, *rest = column.chunks(count)
    assert tuple(rest) == shape
    assert 1 <= first <= max(1, count)
    assert first * column.row_bytes <= row_files.CHUNK_BYTES
    assert first == max(1, count) or (first + 1) * column.row_bytes > row_files.CHUNK_BYTES


def test_storage_kind():
    """Virtual everywhere; parallel where h5py can, and only there."""
    assert storage_kind("virtual") == "virtual"
    assert storage_kind("auto") == KINDS[-1]
    if "parallel" in KINDS:
        assert storage_kind("parallel") == "parallel"
    else:
        with pytest.raises(
            InputError,
            match=r"machine\.storage is parallel, but this h5py is serial; use auto or virtual",
        ):
            storage_kind("parallel")


@kinds
def test_a_file_of_another_kind_is_refused(tmp_path, kind):
    path = tmp_path / "codes.h5"
    columns = {"codes": Column((), "uint8", Table(None, "codes"))}
    write(path, columns, {"codes": np.ones(1)}, 1, kind)
    with pytest.raises(InputError, match="is not a vinfo-activations file"):
        RowReader(path, "vinfo-activations")


def test_a_damaged_chunk_is_said_in_a_sentence(tmp_path):
    path = tmp_path / "codes.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("codes", data=np.arange(100.0), chunks=(100,), fletcher32=True)
        file.attrs.update(ATTRIBUTES | {"complete": 1})
        offset = file["codes"].id.get_chunk_info(0).byte_offset
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"broken")
    with (
        RowReader(path, "vinfo-codes") as reader,
        pytest.raises(InputError, match=r"^.*codes.h5: /codes cannot be read \(.*\); "),
    ):
        reader.read("codes")
