"""Row files: what all ranks write together is read back whole, whichever way it was written."""

import h5py
import numpy as np
import pytest
from contents import flip
from row_files import (
    ATTRIBUTES,
    COLUMNS,
    KINDS,
    SCALES,
    TABLES,
    assert_holds,
    block_of,
    content,
)

from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.storage.hdf5 import Table
from vinfo_mpi.storage.row_file import RowFile
from vinfo_mpi.storage.row_writer import RowWriter
from vinfo_mpi.storage.rows import Column, RowReader, remove

ONLY_PARALLEL = pytest.mark.skipif("parallel" not in KINDS, reason="this h5py is serial")


def write(ranks, path, rows, batch, kind):
    """Write the file, each rank its block, and return what it must hold."""
    values = content(rows)
    file = RowFile(path, COLUMNS, rows, ranks, ATTRIBUTES, TABLES, SCALES, kind)
    with RowWriter([file], batch, ranks) as writer:
        for block in batches(ranks.block(rows), batch):
            writer.write(block.start, block_of(values, block))
        writer.drain()
        file.attributes["written"] = sum(ranks.allgather(writer.bytes_written))  # known only now
    return values


def everything(path):
    """Return all that a reader can see of a file: bytes, types, shapes, axes and attributes."""
    contents = {}

    def visit(name, thing):
        if isinstance(thing, h5py.Dataset):
            axes = [(axis.label, [scale.name for scale in axis.values()]) for axis in thing.dims]
            keys = {"description", "units", "solver", "order"} & set(thing.attrs)
            attributes = {key: thing.attrs[key] for key in keys}
            contents[name] = (thing.dtype, thing.shape, thing[()].tobytes(), axes, attributes)

    with h5py.File(path) as file:
        file.visititems(visit)
        return contents, dict(file.attrs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rows", "batch"), [(0, 2), (1, 2), (3, 4), (5, 2), (9, 1), (11, 100)])
def test_what_is_written_is_read_back(ranks, shared_path, kind, rows, batch):
    """More ranks than rows, and other numbers of batches on different ranks, as well."""
    path = shared_path / "new" / "codes.h5"
    expected = write(ranks, path, rows, batch, kind)
    block = ranks.block(rows)
    with RowReader(path, "vinfo-codes") as reader:
        for name, values in expected.items():
            assert_same(reader.read(name), values)
            assert_same(reader.read(name, block), values[block.start : block.stop])
        with_checksums = sum(values.nbytes + 4 * rows for values in expected.values())
        assert reader.attributes["written"] == with_checksums
        assert reader.attributes["complete"] == 1


def assert_same(stored, expected):
    assert stored.dtype == expected.dtype
    assert stored.shape == expected.shape
    assert stored.tobytes() == expected.tobytes()


@ONLY_PARALLEL
@pytest.mark.parametrize("rows", [0, 2, 7])
def test_no_reader_can_tell_how_it_was_written(ranks, shared_path, rows):
    files = [shared_path / f"{kind}.h5" for kind in KINDS]
    for path, kind in zip(files, KINDS, strict=True):
        write(ranks, path, rows, 2, kind)
    assert everything(files[0]) == everything(files[1])


@pytest.mark.parametrize("kind", KINDS)
def test_every_dataset_explains_itself(ranks, shared_path, kind):
    path = shared_path / "codes.h5"
    write(ranks, path, 6, 4, kind)
    with h5py.File(path) as file:
        datasets = {name: file[name] for name in (*COLUMNS, *TABLES)}
        assert all(dataset.attrs["description"] for dataset in datasets.values())
        codes = datasets["codes"]
        assert dict(codes.attrs).items() >= {"units": "1", "solver": "hals", "order": 2}.items()
        assert [axis.label for axis in codes.dims] == ["sample", "concept"]
        assert [[(name, scale.name) for name, scale in axis.items()] for axis in codes.dims] == [
            [("sample", "/samples/id")],
            [("concept", "/concepts/index")],
        ]
        assert datasets["maps"].dims[0][0] == datasets["samples/id"]
        assert np.array_equal(datasets["concepts/index"], range(3))


@pytest.mark.parametrize("before", KINDS)
@pytest.mark.parametrize("after", KINDS)
@pytest.mark.parametrize(("first", "second"), [(8, 3), (3, 8)])
def test_a_file_is_replaced(ranks, shared_path, before, after, first, second):
    path = shared_path / "codes.h5"
    write(ranks, path, first, 2, before)
    expected = write(ranks, path, second, 2, after)
    with RowReader(path, "vinfo-codes") as reader:
        assert all(np.array_equal(reader.read(name), values) for name, values in expected.items())
    parts = list(shared_path.glob("codes.parts.*"))
    assert len(parts) == (after == "virtual")
    assert set(shared_path.iterdir()) == {path, *parts}


@pytest.mark.parametrize("kind", KINDS)
def test_until_it_is_whole_the_file_before_stays(ranks, shared_path, kind):
    path = shared_path / "codes.h5"
    expected = write(ranks, path, 6, 2, kind)
    file = RowFile(path, COLUMNS, 4, ranks, ATTRIBUTES, TABLES, SCALES, kind)
    with RowWriter([file], 4, ranks) as writer:
        with RowReader(path, "vinfo-codes") as reader:
            assert np.array_equal(reader.read("codes"), expected["codes"])
        block = ranks.block(4)
        writer.write(block.start, block_of(content(4), block))
    with RowReader(path, "vinfo-codes") as reader:
        assert reader.shape("codes") == (4, 3)


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_a_virtual_file_without_one_of_its_parts(ranks, shared_path, damage):
    """HDF5 itself would read zeros in its place."""
    path = shared_path / "codes.h5"
    write(ranks, path, 6, 2, "virtual")
    if ranks.is_root:
        last = max(shared_path.glob("codes.parts.*/*"))
        whole = last.read_bytes()
        last.unlink()
        if damage == "truncated":
            last.write_bytes(whole[: len(whole) // 2])
    ranks.barrier()
    name = rf"codes\.parts\.[0-9a-f]+/rank_{ranks.size - 1:05d}\.h5"
    with pytest.raises(
        InputError, match=f"its part {name} is missing or damaged .*; copy the parts along"
    ):
        RowReader(path, "vinfo-codes")


def test_virtual_files_can_be_moved_with_their_parts(ranks, shared_path):
    expected = write(ranks, shared_path / "before" / "codes.h5", 6, 2, "virtual")
    if ranks.is_root:
        (shared_path / "before").rename(shared_path / "after")
    ranks.barrier()
    with RowReader(shared_path / "after" / "codes.h5", "vinfo-codes") as reader:
        assert np.array_equal(reader.read("maps"), expected["maps"])


@pytest.mark.parametrize("kind", KINDS)
def test_removed_with_its_parts(ranks, shared_path, kind):
    path = shared_path / "codes.h5"
    write(ranks, path, 3, 2, kind)
    ranks.on_root(remove, path)
    ranks.on_root(remove, path)  # what is not there need not be removed
    assert not list(shared_path.iterdir())


@ONLY_PARALLEL
@pytest.mark.parametrize("alignment", [2**16, 2**22])
def test_the_shared_file_is_aligned_on_request(ranks, shared_path, alignment):
    """Chunks begin at multiples of it, and fill it as far as whole rows do."""
    path = shared_path / "maps.h5"
    hints = {"romio_cb_write": "enable", "striping_factor": "4"}
    options = {"alignment": alignment, "hints": hints}
    width = alignment // 4 // 3 - 5
    columns = {"maps": Column((width,), "float32", Table(None, "maps"))}
    values = np.arange(10 * width, dtype="float32").reshape(10, width)
    file = RowFile(path, columns, 10, ranks, ATTRIBUTES, options=options)
    with RowWriter([file], 4, ranks) as writer:
        for block in writer.todo:
            writer.write(block.start, {"maps": values[block.start : block.stop]})
    with h5py.File(path) as file:
        assert file["maps"].chunks == (3, width)
        chunks = [file["maps"].id.get_chunk_info(number).byte_offset for number in range(4)]
    assert sorted(offset % alignment for offset in chunks) == [0, 0, 0, 0]
    assert max(chunks) - min(chunks) == 3 * alignment
    assert columns["maps"].stored(10, alignment) == 4 * alignment
    with RowReader(path, "vinfo-codes") as reader:
        assert np.array_equal(reader.read("maps"), values)


@ONLY_PARALLEL
@pytest.mark.parametrize("nodes", [1, 2])
def test_ranks_of_several_nodes_write_collectively(ranks, shared_path, nodes):
    ranks.local_size = ranks.size - nodes + 1
    path = shared_path / "codes.h5"
    rows = 5 * ranks.size + 1  # a rank has a batch more than the others
    file = RowFile(path, COLUMNS, rows, ranks, ATTRIBUTES, kind="parallel")
    with RowWriter([file], 2, ranks) as writer:
        collective = file._backend._transfer.get_dxpl_mpio() == h5py.h5fd.MPIO_COLLECTIVE
        assert collective == (nodes > 1)
        for block in writer.todo:
            writer.write(block.start, block_of(content(rows), block))
    assert_holds(path, rows)


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_is_noticed_and_named(ranks, shared_path, kind):
    path = shared_path / "codes.h5"
    expected = write(ranks, path, 9, 2, kind)
    ranks.on_root(flip, list(shared_path.rglob("*")), expected["codes"][5])
    with RowReader(path, "vinfo-codes") as reader:
        assert np.array_equal(reader.read("codes", range(0, 5)), expected["codes"][:5])
        for rows in (None, range(3, 7)):
            sentence = (
                r"row 5 of /codes is not what was written .*; delete the file and run its stage"
            )
            with pytest.raises(InputError, match=sentence):
                reader.read("codes", rows)
