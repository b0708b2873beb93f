"""The first hour on a GPU, tried on the processor at tiny sizes."""

import json

import pytest
import torch
from contents import ROOT

from benchmarks.gpu.runs import differences
from benchmarks.gpu.session import Session
from vinfo_mpi.storage import hdf5

TRIED = [
    "decompositions",
    "codes",
    "solvers",
    "dictionary",
    "score",
    "study",
    "reading",
    "sums",
    "sizes",
]
OPTIONS = ["--device", "cpu", "--tiny", "--only"]


@pytest.fixture
def session(tmp_path):
    return Session(torch.device("cpu"), True, 100.0, tmp_path, tmp_path)


def test_checks_and_times_are_written(tmp_path, python):
    program = ["-m", "benchmarks.gpu", *OPTIONS, ",".join(TRIED), "--out", tmp_path]
    done = python(*program, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    content = json.loads((tmp_path / "gpu.json").read_text())
    assert content["failed"] == []
    assert {*content["facts"]["seconds of sections"]} == {"facts", "ceilings", *TRIED}
    assert all(outcome["right"] for outcome in content["checks"].values())
    assert all(speed["seconds"] > 0 for speed in content["speeds"].values())
    assert content["ceilings"]["float64"] > 0


def test_what_is_not_a_section_is_refused(tmp_path, python):
    done = python("-m", "benchmarks.gpu", *OPTIONS, "codex", cwd=ROOT)
    assert done.returncode == 2
    assert "no such section: codex" in done.stderr


def test_a_wrong_check_is_a_failure(session):
    session.check("true", True)
    session.check("false", False, text="what went wrong")
    session.leave_out("absent", "there is nothing to look at")
    assert session.failed == ["false"]
    session.save()
    assert json.loads((session.out / "gpu.json").read_text())["failed"] == ["false"]


def test_times_are_medians_after_a_warm_up(session):
    calls = []
    seconds, value = session.time(lambda: calls.append(1) or len(calls), repeats=3, warm=2)
    assert value == len(calls) == 5
    assert seconds >= 0


def test_differences_of_runs(tmp_path):
    for name, values in (("first", [1.0, 2.0]), ("second", [1.0, 2.5])):
        (tmp_path / name).mkdir()
        table = hdf5.Table(torch.tensor(values).numpy(), "some")
        hdf5.write_tables(tmp_path / name / "file.h5", {"values": table}, {})
    apart = differences(tmp_path / "first", tmp_path / "second", ("file.h5",))
    assert apart == {"file.h5/values": 0.25}
