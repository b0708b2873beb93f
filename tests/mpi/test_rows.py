"""Row files: what all ranks write together is read back whole, whichever way it was written."""

import h5py
import numpy as np
import pytest
from contents import flip

from vinfo_mpi.errors import InputError, Stopped
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.storage.hdf5 import Table
from vinfo_mpi.storage.row_writer import RowWriter
from vinfo_mpi.storage.rows import Column, RowReader, remove

KINDS = ["virtual", "parallel"] if h5py.get_config().mpi else ["virtual"]
SAMPLE = ("sample",)
COLUMNS = {
    "samples/id": Column((), "int64", Table(None, "stable id", axes=SAMPLE)),
    "codes": Column((3,), "float32", Table(None, "codes", "1", ("sample", "concept"), {"solver": "hals", "order": 2})),
    "maps": Column((2, 5), "float16", Table(None, "maps", axes=("sample", "position", "channel"))),
}
TABLES = {"concepts/index": Table(np.arange(3), "number of the concept", axes=("concept",))}
SCALES = {"sample": "samples/id", "concept": "concepts/index"}


def content(rows):
    """Return the values of all rows, the same on every rank."""
    generator = np.random.default_rng(rows)
    values = {name: generator.normal(size=(rows, *column.shape)).astype(column.dtype) for name, column in COLUMNS.items()}
    return values | {"samples/id": generator.permutation(rows) + 2**40}


def write(ranks, path, rows, batch, kind):
    """Write the file, each rank its block, and return what it must hold."""
    values = content(rows)
    attributes = {"filetype": "vinfo-codes", "format_version": 2}
    with RowWriter(path, COLUMNS, rows, batch, ranks, attributes, TABLES, SCALES, kind) as writer:
        for part in batches(ranks.block(rows), batch):
            writer.write(part.start, {name: column[part.start : part.stop] for name, column in values.items()})
        writer.drain()
        writer.attributes["written"] = sum(ranks.gather(writer.bytes_written))  # known only now
    return values


def everything(path):
    """Return all that a reader can see of a file: bytes, types, shapes, axes and attributes."""
    seen = {}

    def visit(name, thing):
        if isinstance(thing, h5py.Dataset):
            axes = [(axis.label, [scale.name for scale in axis.values()]) for axis in thing.dims]
            attributes = {key: thing.attrs[key] for key in ("description", "units", "solver", "order") if key in thing.attrs}
            seen[name] = (thing.dtype, thing.shape, thing[()].tobytes(), axes, attributes)

    with h5py.File(path) as file:
        file.visititems(visit)
        return seen, dict(file.attrs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rows", "batch"), [(0, 2), (1, 2), (3, 4), (5, 2), (9, 1), (11, 100)])
def test_what_is_written_is_read_back(ranks, shared_path, kind, rows, batch):
    """More ranks than rows, and other numbers of batches on different ranks, as well."""
    path = shared_path / "new" / "codes.h5"
    expected = write(ranks, path, rows, batch, kind)
    mine = ranks.block(rows)
    with RowReader(path, "vinfo-codes") as reader:
        for name, values in expected.items():
            for stored, wanted in [(reader.read(name), values), (reader.read(name, mine), values[mine.start : mine.stop])]:
                assert stored.dtype == wanted.dtype
                assert stored.shape == wanted.shape
                assert stored.tobytes() == wanted.tobytes()
        assert reader.attributes["written"] == sum(values.nbytes + 4 * rows for values in expected.values())  # with the checksums
        assert reader.attributes["complete"] == 1


@pytest.mark.skipif("parallel" not in KINDS, reason="this h5py is serial")
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
    with RowWriter(path, COLUMNS, 4, 4, ranks, {"filetype": "vinfo-codes", "format_version": 2}, TABLES, SCALES, kind) as writer:
        with RowReader(path, "vinfo-codes") as reader:
            assert np.array_equal(reader.read("codes"), expected["codes"])
        mine = ranks.block(4)
        writer.write(mine.start, {name: column[mine.start : mine.stop] for name, column in content(4).items()})
    with RowReader(path, "vinfo-codes") as reader:
        assert reader.shape("codes") == (4, 3)


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_a_virtual_file_without_one_of_its_parts(ranks, shared_path, damage):
    """HDF5 itself would read zeros in its place."""
    path = shared_path / "codes.h5"
    write(ranks, path, 6, 2, "virtual")
    if ranks.is_root:
        part = max(shared_path.glob("codes.parts.*/*"))
        whole = part.read_bytes()
        part.unlink()
        if damage == "truncated":
            part.write_bytes(whole[: len(whole) // 2])
    ranks.barrier()
    part = rf"codes\.parts\.[0-9a-f]+/rank_{ranks.size - 1:05d}\.h5"
    with pytest.raises(InputError, match=f"its part {part} is missing or damaged .*; copy the parts along"):
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


@pytest.mark.skipif("parallel" not in KINDS, reason="this h5py is serial")
@pytest.mark.parametrize("alignment", [2**16, 2**22])
def test_the_shared_file_is_aligned_on_request(ranks, shared_path, alignment):
    """Chunks begin at multiples of it, and fill it as far as whole rows do."""
    attributes = {"filetype": "vinfo-codes", "format_version": 2}
    options = {"alignment": alignment, "hints": {"romio_cb_write": "enable", "striping_factor": "4"}}
    width = alignment // 4 // 3 - 5
    columns = {"maps": Column((width,), "float32", Table(None, "maps"))}
    values = np.arange(10 * width, dtype="float32").reshape(10, width)
    with RowWriter(shared_path / "maps.h5", columns, 10, 4, ranks, attributes, options=options) as writer:
        for part in writer.todo:
            writer.write(part.start, {"maps": values[part.start : part.stop]})
    with h5py.File(shared_path / "maps.h5") as file:
        assert file["maps"].chunks == (3, width)
        chunks = [file["maps"].id.get_chunk_info(number).byte_offset for number in range(4)]
    assert sorted(offset % alignment for offset in chunks) == [0, 0, 0, 0]
    assert max(chunks) - min(chunks) == 3 * alignment
    assert columns["maps"].stored(10, alignment) == 4 * alignment
    with RowReader(shared_path / "maps.h5", "vinfo-codes") as reader:
        assert np.array_equal(reader.read("maps"), values)


@pytest.mark.skipif("parallel" not in KINDS, reason="needs MPI-IO")
@pytest.mark.parametrize("nodes", [1, 2])
def test_ranks_of_several_nodes_write_collectively(ranks, shared_path, nodes):
    ranks.local_size = ranks.size - nodes + 1
    path, rows = shared_path / "codes.h5", 5 * ranks.size + 1  # a rank has a batch more than the others
    attributes = {"filetype": "vinfo-codes", "format_version": 2}
    with RowWriter(path, COLUMNS, rows, 2, ranks, attributes, kind="parallel") as writer:
        collective = writer._sink._transfer.get_dxpl_mpio() == h5py.h5fd.MPIO_COLLECTIVE
        assert collective == (nodes > 1)
        for part in writer.todo:
            writer.write(part.start, {name: column[part.start : part.stop] for name, column in content(rows).items()})
    assert_holds(path, rows)


# --- going on after an end ---


def begin(ranks, path, rows, batch, kind, last, fingerprint="abc", **options):
    """Write until the last rank is asked to stop, after its first batch; return how many rows were there already."""
    values = content(rows)
    attributes = {"filetype": "vinfo-codes", "format_version": 2, "fingerprint": fingerprint}
    wished = []
    writer = RowWriter(
        path, COLUMNS, rows, batch, ranks, attributes, TABLES, SCALES, kind,
        resume=True, stopping=lambda: bool(wished), **options,
    )  # fmt: skip
    with writer:
        for part in writer.todo:
            if ranks.rank == ranks.size - 1 and not last:
                wished.append(part)
            writer.write(part.start, {name: column[part.start : part.stop] for name, column in values.items()})
    return writer.reused


def assert_holds(path, rows):
    """The file holds the content of all rows, bit by bit."""
    with RowReader(path, "vinfo-codes") as reader:
        assert all(reader.read(name).tobytes() == values.tobytes() for name, values in content(rows).items())


@pytest.mark.parametrize("kind", KINDS)
def test_all_stop_when_one_is_asked_to_and_go_on_where_they_were(ranks, shared_path, kind):
    path, rows = shared_path / "codes.h5", 40 * ranks.size
    with pytest.raises(Stopped):
        begin(ranks, path, rows, 2, kind, last=False)
    ranks.barrier()
    assert not path.exists()
    reused = begin(ranks, path, rows, 2, kind, last=True)
    assert 2 * ranks.size <= reused < rows
    assert_holds(path, rows)
    parts = list(shared_path.glob("codes.parts.*"))
    assert len(parts) == (kind == "virtual")
    assert set(shared_path.iterdir()) == {path, *parts}


@pytest.mark.parametrize("kind", KINDS)
def test_other_ranks_go_on(ranks, shared_path, kind):
    """What all ranks began one finishes, and the other way round."""
    first, rows = Ranks(ranks.comm.Split(ranks.rank == 0)), 40 * ranks.size
    for number, (before, after) in enumerate([(ranks, first), (first, ranks)]):
        path = shared_path / str(number) / "codes.h5"
        if before is ranks or ranks.is_root:
            with pytest.raises(Stopped):
                begin(before, path, rows, 2, kind, last=False)
        ranks.barrier()
        if after is ranks or ranks.is_root:
            assert 2 <= begin(after, path, rows, 2, kind, last=True) < rows
        ranks.barrier()
        assert_holds(path, rows)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_are_not_what_was_written_are_written_again(ranks, shared_path, kind):
    path, rows = shared_path / "codes.h5", 40 * ranks.size
    with pytest.raises(Stopped):
        begin(ranks, path, rows, 2, kind, last=False)
    ranks.barrier()
    ranks.on_root(flip, list(shared_path.rglob("*")), content(rows)["maps"][1])
    with pytest.raises(Stopped):
        begin(ranks, path, rows, 2, kind, last=False)
    assert begin(ranks, path, rows, 2, kind, last=True) > 0
    assert_holds(path, rows)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_begun_otherwise_is_not_gone_on_with(ranks, shared_path, kind):
    path, rows = shared_path / "codes.h5", 40 * ranks.size
    with pytest.raises(Stopped):
        begin(ranks, path, rows, 2, kind, last=False, fingerprint="other")
    assert begin(ranks, path, rows, 2, kind, last=True) == 0
    parts = list(shared_path.glob("codes.parts.*"))
    assert set(shared_path.iterdir()) == {path, *parts}


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_is_noticed_and_named(ranks, shared_path, kind):
    path = shared_path / "codes.h5"
    expected = write(ranks, path, 9, 2, kind)
    ranks.on_root(flip, list(shared_path.rglob("*")), expected["codes"][5])
    with RowReader(path, "vinfo-codes") as reader:
        assert np.array_equal(reader.read("codes", range(0, 5)), expected["codes"][:5])
        for rows in (None, range(3, 7)):
            with pytest.raises(InputError, match=r"row 5 of /codes is not what was written .*; delete the file and run its stage"):
                reader.read("codes", rows)
