"""Which device and how many threads a rank gets."""

import os

import pytest
import torch

from vinfo_mpi.parallel import devices
from vinfo_mpi.parallel.ranks import Ranks


@pytest.mark.parametrize(
    ("visible", "ranks", "expected"),
    [
        (0, 3, [None, None, None]),
        (1, 1, [0]),
        (2, 2, [0, 1]),
        (4, 4, [0, 1, 2, 3]),
        (8, 8, [0, 1, 2, 3, 4, 5, 6, 7]),
        (4, 2, [0, 1]),  # fewer ranks than devices
        (1, 4, [0, 0, 0, 0]),  # the launcher has masked the devices: each rank sees its own as number 0
        (2, 5, [0, 1, 0, 1, 0]),  # more ranks than devices
    ],
)
def test_device_of_each_local_rank(visible, ranks, expected):
    assert [devices.choose(local_rank, visible) for local_rank in range(ranks)] == expected


@pytest.mark.parametrize(
    ("cores", "ranks_on_node", "wanted", "expected"),
    [
        (16, 4, None, 4),
        (16, 3, None, 5),
        (2, 4, None, 1),  # more ranks than cores
        (16, 4, "2", 2),
        (16, 4, "", 4),
        (16, 4, "many", 4),
    ],
)
def test_threads_of_a_rank(cores, ranks_on_node, wanted, expected):
    assert devices.threads(cores, ranks_on_node, wanted) == expected


@pytest.fixture
def torch_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("torch_threads")
def test_bound_to_the_cpu(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    device, bindings = devices.bind(Ranks(), "cpu")
    assert device == torch.device("cpu")
    assert torch.get_num_threads() == 3
    assert [str(one) for one in bindings] == [f"{os.uname().nodename} cpu threads=3"]


@pytest.mark.usefixtures("torch_threads")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_bound_to_a_gpu():
    device, (mine,) = devices.bind(Ranks())
    assert device == torch.device("cuda:0")
    assert mine.device == "cuda:0"
    assert mine.name == torch.cuda.get_device_name(0)
    assert mine.uuid


SHARING = """
import warnings
from vinfo_mpi.parallel import devices
from vinfo_mpi.parallel.ranks import Ranks
warnings.simplefilter("always")
devices.bind(Ranks())
"""


@pytest.mark.skipif(torch.cuda.device_count() != 1, reason="needs exactly one GPU")
def test_ranks_that_share_a_gpu_are_warned_once(mpirun):
    done = mpirun(2, "-c", SHARING)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("2 ranks share 1 GPUs") == 1
