"""Where the time of a stage goes."""

import json
import time

import numpy as np
import pytest
import torch

from vinfo_mpi.parallel.clock import Clock
from vinfo_mpi.parallel.ranks import Ranks


def test_a_phase_adds_up_also_when_it_fails():
    clock = Clock(Ranks(), torch.device("cpu"))
    with clock.phase("read"):
        time.sleep(0.02)
    with pytest.raises(ValueError), clock.phase("read"):
        time.sleep(0.03)
        raise ValueError
    with clock.phase("solve"):
        pass
    seconds = clock.summary()["seconds"]
    assert 0.05 <= seconds["read"]["mean"] <= seconds["total"]["mean"]
    assert 0 <= seconds["solve"]["mean"] < 0.05
    assert seconds.keys() == {"read", "solve", "total"}


def test_peak_memory_is_in_bytes():
    held = np.ones(2**22)  # 32 MiB, touched
    assert held.nbytes < Clock(Ranks(), torch.device("cpu")).summary()["peak_memory"] < 2**40


def test_a_phase_ends_when_the_device_is_done(monkeypatch):
    """Unless it is one of many, of which only the last is waited for."""
    cuda = torch.device("cuda")
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 7)
    clock = Clock(Ranks(), cuda)
    with clock.phase("solve"):
        assert not waited
    assert waited == [cuda]
    with clock.phase("network", wait=False):
        pass
    assert list(clock.each("read", [1, 2])) == [1, 2]
    assert waited == [cuda]
    assert clock.summary()["peak_device_memory"] == 7


SCRIPT = """
import json, time, torch
from vinfo_mpi.parallel.clock import Clock
from vinfo_mpi.parallel.ranks import Ranks

ranks = Ranks()
ranks.sum(torch.zeros(1000))  # before the stage
clock = Clock(ranks, torch.device("cpu"))
if ranks.is_root:
    with clock.phase("read"):
        time.sleep(0.1)
clock.bytes_read += 100 * (ranks.rank + 1)
clock.bytes_written += 7
ranks.sum(torch.zeros(10))
summary = clock.summary()
assert ranks.allgather(summary) == [summary] * ranks.size
if ranks.is_root:
    print(json.dumps(summary))
"""


def test_summary_over_the_ranks(mpirun):
    """Rank 0 alone reads; every rank sends 40 bytes."""
    done = mpirun(2, "-c", SCRIPT)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    read = summary["seconds"]["read"]
    assert summary["ranks"] == 2
    assert summary["bytes"] == {"read": 300, "written": 14, "communicated": 80}
    assert read["min"] == 0
    assert read["max"] >= 0.1
    assert read["mean"] == pytest.approx(read["max"] / 2)
    assert summary["seconds"]["total"]["min"] > 0
