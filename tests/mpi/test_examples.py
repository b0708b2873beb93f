"""The images that show a concept are the same on any number of ranks."""

import pytest
import torch

from vinfo_mpi.numerics import examples
from vinfo_mpi.parallel.partition import batches

LEVELS = (0.75, 0.25, 0.0)


@pytest.mark.parametrize("rows", [2, 101])
def test_ranks_together_equal_one_process(ranks, rows):
    """More ranks than rows as well; with equal codes, and a concept that no image activates."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.rand(rows, 7, generator=generator, dtype=torch.float64).sub(0.4).clamp(min=0)
    codes[:, :2] = codes[:, :2].mul(5).round()
    codes[:, 6] = 0

    def batches_of(block):
        return lambda: ((few.start, codes[few.start : few.stop]) for few in batches(block, 9))

    def allgather(values):
        return torch.from_numpy(ranks.concatenate(values.numpy()))

    block = batches_of(ranks.block(rows))
    together = examples.choose(block, 7, 4, LEVELS, ranks.sum, allgather)
    alone = examples.choose(batches_of(range(rows)), 7, 4, LEVELS)
    torch.testing.assert_close(together.codes, alone.codes, rtol=0, atol=0)
    torch.testing.assert_close(together.rows, alone.rows, rtol=0, atol=0)
    assert (together.rows[:, 6] == -1).all()
