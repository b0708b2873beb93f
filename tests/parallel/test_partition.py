"""Every row belongs to exactly one rank."""

from hypothesis import given
from hypothesis import strategies as st

from vinfo_mpi.parallel.partition import batches, block, sizes

totals = st.integers(0, 10**6)
parts = st.integers(1, 64)


@given(totals, parts)
def test_blocks_partition_the_range_in_order(total, parts):
    blocks = [block(total, parts, index) for index in range(parts)]
    ends = [0, *(rows.stop for rows in blocks)]
    assert [rows.start for rows in blocks] == ends[:-1]
    assert ends[-1] == total


@given(totals, parts)
def test_sizes_are_even_and_the_remainder_goes_to_the_low_parts(total, parts):
    lengths = sizes(total, parts)
    assert lengths == [len(block(total, parts, index)) for index in range(parts)]
    assert max(lengths) - min(lengths) <= 1
    assert lengths == sorted(lengths, reverse=True)


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(1, 400))
def test_batches_cover_the_rows_in_order(start, count, size):
    rows = range(start, start + count)
    cut = batches(rows, size)
    assert [row for batch in cut for row in batch] == list(rows)
    assert all(len(batch) == size for batch in cut[:-1])
    assert all(0 < len(batch) <= size for batch in cut)
