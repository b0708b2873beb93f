"""Moments of rows that lie on several ranks are the moments of all rows in one process."""

import numpy as np
import pytest
import torch

from vinfo_mpi.numerics import ridge
from vinfo_mpi.numerics.moments import Moments

FOLDS = 3
CHANNELS = 6


def data(rows, concepts):
    """Return activations, codes and folds of all rows, the same on every rank."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(rows, CHANNELS, generator=generator, dtype=torch.float64)
    z = x[:, :1] + torch.rand(rows, concepts, generator=generator, dtype=torch.float64)
    return x, z, torch.arange(rows) % FOLDS


def moments_of(x, z, fold):
    result = Moments(FOLDS, x.shape[1], z.shape[1])
    result.add(x, z, fold)
    return result


@pytest.mark.parametrize("concepts", [1, 2, 7, 8])
@pytest.mark.parametrize("rows", [2, 50])
def test_ranks_together_equal_one_process(ranks, rows, concepts):
    """More ranks than concepts, or than rows, as well."""
    arrays = data(rows, concepts)
    whole = moments_of(*arrays)
    block = ranks.block(rows)
    here = moments_of(*(array[block.start : block.stop] for array in arrays))
    of_rank = ranks.block(concepts)
    reduced = here.reduced(ranks.sum, ranks.reduce_scatter, of_rank)
    columns = slice(of_rank.start, of_rank.stop)

    expected = {
        "n": whole.n, "x": whole.x, "xx": whole.xx,
        "z": whole.z[:, columns], "zz": whole.zz[:, columns], "zx": whole.zx[columns],
    }  # fmt: skip
    for name, values in expected.items():
        sums = getattr(reduced, name)
        np.testing.assert_allclose(sums, values, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("concepts", [1, 5])
def test_scores_follow_for_the_concepts_of_each_rank(ranks, concepts):
    """A rank without concepts goes through the regression all the same."""
    x, z, fold = data(60, concepts)
    block = ranks.block(60)
    rows = slice(block.start, block.stop)
    moments = moments_of(x[rows], z[rows], fold[rows])
    moments = moments.reduced(ranks.sum, ranks.reduce_scatter, ranks.block(concepts))
    squared = [
        ridge.errors(ridge.factorise(moments, held_out), moments, held_out, ridge.PENALTIES)
        for held_out in range(FOLDS)
    ]
    r2 = ranks.concatenate(ridge.finish(torch.stack(squared), moments, ridge.PENALTIES).r2)
    assert r2 == pytest.approx(ridge.r2(x.numpy(), z.numpy(), fold.numpy()).r2, abs=1e-10)
