"""What `Ranks` counts is what the buffers hold, and what the numerics send is what the formulas say."""

from types import SimpleNamespace

import pytest
import torch

from vinfo_mpi.config.load import check_config
from vinfo_mpi.costs import communication
from vinfo_mpi.numerics import nmf
from vinfo_mpi.numerics.moments import Moments

SETTINGS = {"network": {"name": "resnet18"}}


def counted(ranks, call):
    """Return the bytes that all ranks together count during a call."""
    before = ranks.bytes_sent
    call()
    return sum(ranks.gather(ranks.bytes_sent - before))


@pytest.mark.parametrize("count", [3, 2**30], ids=["split", "whole"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8])
@pytest.mark.parametrize("shape", [(1,), (7,), (5, 3)])
def test_bytes_are_those_of_the_buffers(ranks, monkeypatch, count, dtype, shape):
    monkeypatch.setattr("vinfo_mpi.parallel.ranks.LARGEST_COUNT", count)
    values = torch.zeros(shape, dtype=dtype)
    size = values.numpy().nbytes if ranks.size > 1 else 0
    assert counted(ranks, lambda: ranks.sum(values)) == ranks.size * size
    assert counted(ranks, lambda: ranks.sum_scatter(values)) == ranks.size * size
    assert counted(ranks, lambda: ranks.broadcast(values, ranks.size - 1)) == size


def test_small_objects_do_not_count(ranks):
    assert counted(ranks, lambda: (ranks.gather("a"), ranks.any(True), ranks.most(1), ranks.on_root(int), ranks.barrier())) == 0


@pytest.mark.parametrize("concepts", [1, 7])
def test_moments(ranks, concepts):
    moments = Moments(3, 6, concepts)
    found = counted(ranks, lambda: moments.reduced(ranks.sum, ranks.sum_scatter, ranks.block(concepts)))
    assert found == communication.moments(ranks.size, 3, 6, concepts)


@pytest.mark.parametrize("init", ["nndsvda", "random"])
@pytest.mark.parametrize(("tolerance", "most"), [(1e-2, 500), (1e-12, 6)], ids=["to the tolerance", "as long as it may"])
def test_factorisation(ranks, init, tolerance, most):
    x, mine = torch.rand(40, 12, generator=torch.Generator().manual_seed(1)), ranks.block(40)
    rows, group = slice(mine.start, mine.stop), torch.arange(40) % 2
    options = {"init": init, "tolerance": tolerance, "max_iterations": most}
    states = []

    def fit():
        states.append(nmf.fit(x[rows], 4, group[rows], 2, reduce=ranks.sum, **options))
        ranks.sum(nmf.usage(states[0], group[rows]))

    found, iterations = counted(ranks, fit), len(states[0].objective)
    assert (iterations == most) == (most == 6)
    sizes = SimpleNamespace(d=12, concepts=8, groups=2)
    settings = check_config(SETTINGS | {"dictionary": options})
    assert found == communication.dictionary(sizes, settings, ranks.size, iterations)
