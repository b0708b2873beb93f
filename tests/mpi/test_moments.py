"""Moments of rows that lie on several ranks are the moments of all rows in one process."""

import numpy as np
import pytest
import torch

from vinfo_mpi.numerics import ridge
from vinfo_mpi.numerics.moments import Moments

FOLDS, CHANNELS = 3, 6


def data(rows, concepts):
    """Return activations, codes and folds of all rows, the same on every rank."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(rows, CHANNELS, generator=generator, dtype=torch.float64)
    z = x[:, :1] + torch.rand(rows, concepts, generator=generator, dtype=torch.float64)
    return x, z, torch.arange(rows) % FOLDS


def moments(x, z, fold):
    result = Moments(FOLDS, x.shape[1], z.shape[1])
    result.add(x, z, fold)
    return result


@pytest.mark.parametrize("concepts", [1, 2, 7, 8])
@pytest.mark.parametrize("rows", [2, 50])
def test_ranks_together_equal_one_process(ranks, rows, concepts):
    """More ranks than concepts, or than rows, as well."""
    everything = data(rows, concepts)
    mine, columns = (slice(block.start, block.stop) for block in (ranks.block(rows), ranks.block(concepts)))
    whole = moments(*everything)
    part = moments(*(one[mine] for one in everything)).reduced(ranks.sum, ranks.sum_scatter, ranks.block(concepts))

    expected = {
        "n": whole.n, "x": whole.x, "xx": whole.xx,
        "z": whole.z[:, columns], "zz": whole.zz[:, columns], "zx": whole.zx[columns],
    }  # fmt: skip
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(part, name), values, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("concepts", [1, 5])
def test_scores_follow_for_each_ranks_own_concepts(ranks, concepts):
    """A rank without concepts goes through the regression all the same."""
    x, z, fold = data(60, concepts)
    rows, columns = ranks.block(60), ranks.block(concepts)
    mine = slice(rows.start, rows.stop)
    part = moments(x[mine], z[mine], fold[mine]).reduced(ranks.sum, ranks.sum_scatter, columns)
    squared = [ridge.errors(ridge.factorise(part, held_out), part, held_out, ridge.PENALTIES) for held_out in range(FOLDS)]
    r2 = ranks.concatenate(ridge.finish(torch.stack(squared), part, ridge.PENALTIES).r2)
    assert r2 == pytest.approx(ridge.r2(x.numpy(), z.numpy(), fold.numpy()).r2, abs=1e-10)
