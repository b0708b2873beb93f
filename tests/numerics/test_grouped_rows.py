import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vinfo_mpi.numerics import grouped_rows
from vinfo_mpi.numerics.grouped_rows import GroupedRows


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(grouped_rows, "BLOCK", 7)


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), max_size=40))
def test_batches_hold_every_row_once_and_zeros_beside(group):
    group = torch.tensor(group, dtype=torch.int64)
    x = torch.arange(1.0, 1 + 2 * len(group)).reshape(-1, 2)
    rows = GroupedRows(x, group, 4)
    in_batches = []
    for index, batch in zip(rows.groups, rows.batches(), strict=True):
        assert batch.dtype == torch.float64
        assert batch.shape[0] * batch.shape[1] <= 7
        # Sums over groups take one segment of each: a GPU would add several in any order.
        assert len(index.unique()) == len(index)
        in_batches += [
            (g, *row)
            for g, segment in zip(index.tolist(), batch.tolist(), strict=True)
            for row in segment
            if row != [0, 0]
        ]
    expected = [(g, *row) for g, row in zip(group.tolist(), x.tolist(), strict=True)]
    assert sorted(in_batches) == sorted(expected)
    assert rows.sizes.tolist() == torch.bincount(group, minlength=4).tolist()


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), max_size=40))
def test_packed_values_lie_beside_their_rows_and_come_back(group):
    group = torch.tensor(group, dtype=torch.int64)
    x = torch.rand(len(group), 2, dtype=torch.float64)
    rows = GroupedRows(x, group, 4)
    packed = rows.pack(x.T.contiguous())
    for block, batch in zip(packed, rows.batches(), strict=True):
        assert torch.equal(block, batch.transpose(1, 2))
    assert torch.equal(rows.unpack(packed, 2), x.T)


def test_one_group_needs_no_numbers():
    x = torch.rand(20, 3)
    rows = GroupedRows(x)
    assert torch.equal(torch.cat([batch.clone() for batch in rows.batches()], 1)[0], x.double())
    assert rows.sizes.tolist() == [20]
