"""When there is no more memory: seen in whatever form it comes."""

import os

import numpy as np
import pytest
import torch
from small_run import on

from vinfo_mpi.parallel import memory
from vinfo_mpi.parallel.devices import Binding
from vinfo_mpi.parallel.ranks import Ranks

TOO_MUCH = 2**55  # numbers


@pytest.mark.parametrize("allocate", [np.empty, torch.empty])
def test_a_processors_memory(allocate):
    with pytest.raises((MemoryError, RuntimeError)) as full:
        allocate(TOO_MUCH)
    assert memory.is_exhausted(full.value)
    host = os.uname().nodename
    bindings = [Binding(host, "cpu", "", "", 1)] * 2 + [Binding("elsewhere", "cpu", "", "", 1)]
    said = memory.exhausted(full.value, bindings, 1)
    assert said.startswith(f"the memory of the node on {host} is full: rank 1 holds ")
    assert said.endswith("2 ranks share it")


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_cuda_says(error, full):
    assert memory.is_exhausted(error) == full
    assert not full or memory.of_device(error)


def test_what_is_free_of_a_gpu_is_divided_among_its_ranks(monkeypatch):
    free, kept = 12e9, 1e9
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free, 80e9))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: kept)
    of_rank = [Binding("node", "cuda:0", "A GPU", uuid, 1, uuid) for uuid in "aab"]
    shared = memory.limit_of_device(Ranks(), of_rank)
    assert shared.size == free / 2 - memory.LIBRARIES + kept
    assert shared.source == "free on A GPU cuda:0 of node, 2 ranks share it"
    alone = memory.limit_of_device(Ranks(), of_rank[2:])
    assert alone.size == free - memory.LIBRARIES + kept
    assert memory.limit_of_device(Ranks(), [Binding("node", "cpu", "", "", 1)]) is None


def test_a_stage_begins_with_what_the_one_before_has_kept_on_the_device(tmp_path, monkeypatch):
    begun = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: begun.append("given back"))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: begun.append(device))
    run = on(tmp_path)
    assert begun == []
    run.device = torch.device("cuda")
    run.begin()
    assert begun == ["given back", run.device]


def test_other_errors_of_torch_stay_what_they_are():
    with pytest.raises(RuntimeError, match="inconsistent"), memory.explained("it", [], 0, ""):
        torch.ones(2) @ torch.ones(3)
