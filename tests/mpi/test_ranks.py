"""What the ranks add up, hand round and agree on."""

import time

import numpy as np
import pytest
import torch

from benchmarks.limits import Peak
from vinfo_mpi.errors import InputError

SMALL_COUNT = pytest.mark.parametrize("count", [3, 2**30], ids=["split", "whole"])


@pytest.fixture
def largest(count, monkeypatch):
    """Let one MPI call take no more than `count` elements."""
    monkeypatch.setattr("vinfo_mpi.parallel.ranks.LARGEST_COUNT", count)


def numbers(ranks, *shape, dtype=torch.float64):
    """Return different numbers on each rank, and their sum over the ranks.

    Whole, so that every order adds the same.
    """
    base = torch.arange(np.prod(shape, dtype=int)).reshape(shape) + 1
    factors = [(rank + 1) ** 2 for rank in range(ranks.size)]
    return (base * factors[ranks.rank]).to(dtype), (base * sum(factors)).to(dtype)


@SMALL_COUNT
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
@pytest.mark.parametrize("shape", [(1,), (3,), (2, 5), (7, 1, 2), (0, 4)])
def test_sum(ranks, largest, shape, dtype):
    values, expected = numbers(ranks, *shape, dtype=dtype)
    result = ranks.sum(values)
    assert result is values
    assert result.dtype == dtype
    assert torch.equal(result, expected)


def test_sum_of_views_is_one_buffer(ranks):
    buffer, expected = numbers(ranks, 10)
    matrix = buffer[:6].view(2, 3)
    vector = buffer[6:]
    ranks.sum(buffer)
    assert torch.equal(matrix, expected[:6].view(2, 3))
    assert torch.equal(vector, expected[6:])


def test_only_contiguous_tensors_travel(ranks):
    if ranks.size > 1:
        with pytest.raises(ValueError, match="contiguous"):
            ranks.sum(torch.zeros(3, 2).T)


@SMALL_COUNT
@pytest.mark.parametrize("shape", [(1,), (2, 3), (3,), (5, 4), (8, 2, 3), (13, 7)])
def test_reduce_scatter(ranks, largest, shape):
    values, expected = numbers(ranks, *shape)
    block = ranks.block(shape[0])
    result = ranks.reduce_scatter(values)
    assert torch.equal(result, expected[block.start : block.stop])


@SMALL_COUNT
def test_broadcast(ranks, largest):
    for root in range(ranks.size):
        values = torch.full((2, 5), float(ranks.rank))
        assert ranks.broadcast(values, root) is values
        assert torch.equal(values, torch.full((2, 5), float(root)))


def test_bytes_sent(ranks):
    values = torch.zeros(10, dtype=torch.float64)
    ranks.sum(values)
    ranks.reduce_scatter(values)
    ranks.broadcast(values, root=0)
    calls = 3 if ranks.is_root else 2  # only the root's broadcast counts
    assert ranks.bytes_sent == (calls * 80 if ranks.size > 1 else 0)


@pytest.mark.parametrize("axis", [0, 1])
def test_concatenate_with_empty_parts(ranks, axis):
    """Odd ranks have nothing."""
    arrays = [np.full((2, 0 if rank % 2 else 3), rank) for rank in range(ranks.size)]
    if axis == 0:
        arrays = [array.T for array in arrays]
    result = ranks.concatenate(arrays[ranks.rank], axis=axis)
    assert result.shape[axis] == 3 * ((ranks.size + 1) // 2)
    assert np.array_equal(result, np.concatenate(arrays, axis=axis))
    joined = ranks.join(torch.from_numpy(arrays[ranks.rank]), axis)
    assert np.array_equal(joined, result)


def test_block_covers_all_rows_in_rank_order(ranks):
    for total in (0, 1, 3, 10):
        blocks = ranks.allgather(ranks.block(total))
        assert [row for block in blocks for row in block] == list(range(total))


def test_allgather_and_any(ranks):
    assert ranks.allgather(f"rank {ranks.rank}") == [f"rank {rank}" for rank in range(ranks.size)]
    assert ranks.any(ranks.rank == ranks.size - 1)
    assert not ranks.any(False)


def test_ranks_of_one_node(ranks):
    assert (ranks.local_rank, ranks.local_size) == (ranks.rank, ranks.size)
    assert len(set(ranks.hosts())) == 1


def test_union_of_what_ranks_hold(ranks):
    held = {number: str(number) for number in range(ranks.rank, 7, ranks.size)}
    assert ranks.union(held) == {number: str(number) for number in range(7)}


def test_together_passes_when_all_pass(ranks):
    with ranks.together():
        done = True
    assert done


def test_together_one_fails(ranks):
    with pytest.raises(InputError, match=r"^the disk is full$"), ranks.together():
        if ranks.rank == ranks.size - 1:
            raise InputError("the disk is full")


def test_together_the_lowest_rank_speaks_for_all(ranks):
    kinds = (ValueError, InputError, OSError, KeyError)
    lowest = min(1, ranks.size - 1)
    with pytest.raises(kinds[lowest], match=f"^rank {lowest}$"), ranks.together():
        if ranks.rank >= lowest:
            raise kinds[ranks.rank](f"rank {ranks.rank}")


def test_together_one_kind_of_error_with_different_sentences(ranks):
    with pytest.raises(InputError, match=r"^rank 0 cannot read$"), ranks.together():
        raise InputError(f"rank {ranks.rank} cannot read")


class Stubborn(Exception):
    """An error that cannot be pickled."""

    def __init__(self, number, word):
        super().__init__(f"{number} {word}")


def test_together_an_error_that_does_not_travel(ranks):
    """The rank that fails keeps its error; the others are told what it was."""
    expected = Stubborn if ranks.is_root else RuntimeError
    with pytest.raises(expected, match=r"7 seals$"), ranks.together():
        if ranks.is_root:
            raise Stubborn(7, "seals")


def test_on_root(ranks):
    assert ranks.on_root(lambda number: (ranks.rank, number), 5) == (0, 5)


def test_on_root_fails_on_all(ranks):
    with pytest.raises(ZeroDivisionError):
        ranks.on_root(lambda: 1 / 0)
    assert ranks.on_root(lambda: "goes on") == "goes on"


def test_waiting_in_the_background_leaves_the_core_to_others(ranks):
    duplicate = ranks.duplicate()
    start = time.perf_counter()
    computed_before = time.thread_time()
    if ranks.rank == ranks.size - 1:
        time.sleep(0.3)  # the others wait for this one
    duplicate.wait()
    duplicate.free()
    if ranks.size > 1:
        assert time.perf_counter() - start >= 0.2
    assert time.thread_time() - computed_before < 0.1


def test_sums_take_little_memory_beside_what_is_added(ranks):
    """MPI has buffers as large as what it is given at once."""
    values = torch.ones(2000, 2**13, dtype=torch.float64)
    with Peak() as of_sum:
        ranks.sum(values)
    with Peak() as of_part:
        part = ranks.reduce_scatter(values)
    if of_sum.bytes is None:
        pytest.skip("the kernel does not let a process reset its peak")
    assert of_sum.bytes < values.nbytes / 3
    assert of_part.bytes < (ranks.size > 1) * part.nbytes + values.nbytes
