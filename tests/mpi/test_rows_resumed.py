"""Row files: what an interrupted writing has left whole is not written again."""

import pytest
from contents import flip
from row_files import ATTRIBUTES, COLUMNS, KINDS, SCALES, TABLES, assert_holds, block_of, content

from vinfo_mpi.errors import Stopped
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.storage.row_file import RowFile
from vinfo_mpi.storage.row_writer import RowWriter


def begin(ranks, path, rows, kind, last, fingerprint="abc"):
    """Write until the last rank is asked to stop, after its first batch.

    Returns how many rows were there already.
    """
    values = content(rows)
    wished = []
    file = RowFile(
        path,
        COLUMNS,
        rows,
        ranks,
        ATTRIBUTES | {"fingerprint": fingerprint},
        TABLES,
        SCALES,
        kind,
        resume=True,
    )
    with RowWriter([file], 2, ranks, stopping=lambda: bool(wished)) as writer:
        for block in writer.todo:
            if ranks.rank == ranks.size - 1 and not last:
                wished.append(block)
            writer.write(block.start, block_of(values, block))
    return file.reused


@pytest.mark.parametrize("kind", KINDS)
def test_all_stop_when_one_is_asked_to_and_go_on_where_they_were(ranks, shared_path, kind):
    path = shared_path / "codes.h5"
    rows = 40 * ranks.size
    with pytest.raises(Stopped):
        begin(ranks, path, rows, kind, last=False)
    ranks.barrier()
    assert not path.exists()
    reused = begin(ranks, path, rows, kind, last=True)
    assert 2 * ranks.size <= reused < rows
    assert_holds(path, rows)
    parts = list(shared_path.glob("codes.parts.*"))
    assert len(parts) == (kind == "virtual")
    assert set(shared_path.iterdir()) == {path, *parts}


@pytest.mark.parametrize("kind", KINDS)
def test_other_ranks_go_on(ranks, shared_path, kind):
    """What all ranks began one finishes, and the other way round."""
    first = Ranks(ranks.comm.Split(ranks.rank == 0))
    rows = 40 * ranks.size
    for number, (before, after) in enumerate([(ranks, first), (first, ranks)]):
        path = shared_path / str(number) / "codes.h5"
        if before is ranks or ranks.is_root:
            with pytest.raises(Stopped):
                begin(before, path, rows, kind, last=False)
        ranks.barrier()
        if after is ranks or ranks.is_root:
            assert 2 <= begin(after, path, rows, kind, last=True) < rows
        ranks.barrier()
        assert_holds(path, rows)


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_several_files_are_written_together_and_gone_on_with(ranks, shared_path, kind, nodes):
    """A file of which an earlier job has left some beside one that is new; on several nodes, too.

    There ranks write together: they must not meet in different files.
    """
    ranks.local_size = ranks.size - nodes + 1
    rows = 20 * ranks.size + 1  # a rank has a batch more than the others
    paths = [shared_path / "0" / "codes.h5", shared_path / "1" / "codes.h5"]
    with pytest.raises(Stopped):
        begin(ranks, paths[1], rows, kind, last=False)
    attributes = ATTRIBUTES | {"fingerprint": "abc"}
    files = [
        RowFile(path, COLUMNS, rows, ranks, attributes, TABLES, SCALES, kind, resume=True)
        for path in paths
    ]
    written = [0, 0]
    with RowWriter(files, 2, ranks) as writer:
        for block in writer.todo:
            for number, file in enumerate(files):
                values = block_of(content(rows), block) if block in file.todo else {}
                written[number] += len(block) if values else 0
                writer.write(block.start, values, number)
    assert files[0].reused == 0 < files[1].reused
    assert written[0] == len(ranks.block(rows)) >= written[1]
    for path in paths:
        assert_holds(path, rows)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_are_not_what_was_written_are_written_again(ranks, shared_path, kind):
    path = shared_path / "codes.h5"
    rows = 40 * ranks.size
    with pytest.raises(Stopped):
        begin(ranks, path, rows, kind, last=False)
    ranks.barrier()
    ranks.on_root(flip, list(shared_path.rglob("*")), content(rows)["maps"][1])
    with pytest.raises(Stopped):
        begin(ranks, path, rows, kind, last=False)
    assert begin(ranks, path, rows, kind, last=True) > 0
    assert_holds(path, rows)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_begun_otherwise_is_not_gone_on_with(ranks, shared_path, kind):
    path = shared_path / "codes.h5"
    rows = 40 * ranks.size
    with pytest.raises(Stopped):
        begin(ranks, path, rows, kind, last=False, fingerprint="other")
    assert begin(ranks, path, rows, kind, last=True) == 0
    parts = list(shared_path.glob("codes.parts.*"))
    assert set(shared_path.iterdir()) == {path, *parts}
