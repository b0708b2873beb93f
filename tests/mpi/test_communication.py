"""What `Ranks` counts is what the buffers hold.

And what the numerics send is what the formulas say.
"""

from types import SimpleNamespace

import pytest
import torch

from vinfo_mpi.concepts import vinformation_costs
from vinfo_mpi.config.load import check_config
from vinfo_mpi.costs.workload import Workload
from vinfo_mpi.numerics import nmf
from vinfo_mpi.numerics.moments import Moments
from vinfo_mpi.stages import dictionary


def counted(ranks, call):
    """Return the bytes that all ranks together count during a call."""
    before = ranks.bytes_sent
    call()
    return sum(ranks.allgather(ranks.bytes_sent - before))


def workload(ranks, sizes, dictionary_options=None, **options):
    settings = {"network": {"name": "resnet18"}, "dictionary": dictionary_options or {}}
    return Workload(sizes, check_config(settings), ranks.size, **options)


@pytest.mark.parametrize("count", [3, 2**30], ids=["split", "whole"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8])
@pytest.mark.parametrize("shape", [(1,), (7,), (5, 3)])
def test_bytes_are_those_of_the_buffers(ranks, monkeypatch, count, dtype, shape):
    monkeypatch.setattr("vinfo_mpi.parallel.ranks.LARGEST_COUNT", count)
    values = torch.zeros(shape, dtype=dtype)
    size = values.numpy().nbytes if ranks.size > 1 else 0
    assert counted(ranks, lambda: ranks.sum(values)) == ranks.size * size
    assert counted(ranks, lambda: ranks.reduce_scatter(values)) == ranks.size * size
    assert counted(ranks, lambda: ranks.broadcast(values, ranks.size - 1)) == size


def test_small_objects_do_not_count(ranks):
    def talk():
        ranks.allgather("a")
        ranks.any(True)
        ranks.max(1)
        ranks.on_root(int)
        ranks.barrier()

    assert counted(ranks, talk) == 0


@pytest.mark.parametrize("concepts", [1, 7])
def test_moments(ranks, concepts):
    moments = Moments(3, 6, concepts)
    block = ranks.block(concepts)
    sent = counted(ranks, lambda: moments.reduced(ranks.sum, ranks.reduce_scatter, block))
    work = workload(ranks, SimpleNamespace(concepts=concepts))
    assert sent == vinformation_costs.sent_moments(work, 3, 6)


@pytest.mark.parametrize("init", ["nndsvda", "random"])
@pytest.mark.parametrize(
    ("tolerance", "most"), [(1e-2, 500), (1e-12, 6)], ids=["to the tolerance", "as long as it may"]
)
def test_factorisation(ranks, init, tolerance, most):
    x = torch.rand(40, 12, generator=torch.Generator().manual_seed(1))
    group = torch.arange(40) % 2
    block = ranks.block(40)
    rows = slice(block.start, block.stop)
    options = {"init": init, "tolerance": tolerance, "max_iterations": most}
    states = []

    def fit():
        states.append(nmf.fit(x[rows], 4, group[rows], 2, reduce=ranks.sum, **options))
        ranks.sum(nmf.usage(states[0], group[rows]))

    sent = counted(ranks, fit)
    iterations = len(states[0].objective)
    assert (iterations == most) == (most == 6)
    sizes = SimpleNamespace(n=40, positions=1, d=12, concepts=8, groups=2)
    settings = {**options, "concepts_per_class": 4}
    work = workload(ranks, sizes, settings, iterations={"dictionary": iterations})
    assert sent == dictionary.costs(work).sent
