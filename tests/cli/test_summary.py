"""The tail of a log: what every stage took, and what to run next."""

import json

import pytest
import torch

from vinfo_mpi.cli import summary
from vinfo_mpi.cli.options import DEFAULT_CONFIG
from vinfo_mpi.config.load import load_config
from vinfo_mpi.parallel.clock import Clock
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.run.run import Run


@pytest.fixture
def run(tmp_path):
    return Run(load_config(DEFAULT_CONFIG), tmp_path, Ranks(), torch.device("cpu"), [], "command")


def test_nothing_done_yet(run):
    assert summary.tail(run) == ""


def test_a_line_per_stage(run):
    moved = {"read": 3 * 2**20, "written": 1023, "communicated": 5 * 2**40}
    stage = {"seconds": {"total": {"max": 3725.2}}, "bytes": moved, "peak_memory": 1.5 * 2**30}
    quick = stage | {"seconds": {"total": {"max": 4.25}}}
    (run.folder / "timings.json").write_text(json.dumps({"extract": stage, "score": quick}))
    head, extract, score = summary.tail(run).splitlines()
    assert extract.split() == [
        "extract",
        "1:02:05",
        "h",
        "3.0",
        "MiB",
        "1023.0",
        "B",
        "5.0",
        "TiB",
        "1.5",
        "GiB",
    ]
    assert score.split()[:3] == ["score", "4.2", "s"]
    assert len(head) == len(extract) == len(score)
    run.results.touch()
    after = summary.tail(run).splitlines()[3:]
    assert f"python -m vinfo_mpi.inspect {run.results}" in after[0]
    assert f'Results("{run.folder}")' in after[1]


def test_what_the_clock_writes_can_be_shown(run):
    run.clock = Clock(run.ranks, run.device)
    run.save_timings("encode")
    assert summary.tail(run).splitlines()[1].startswith("encode")
