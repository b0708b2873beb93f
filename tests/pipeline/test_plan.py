"""The plan against what a run really takes, and what is refused because of it."""

import json
import re
from functools import partial

import pytest
import yaml
from contents import SMALL as OPTIONS

UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
COMMON = {
    "seed": 0,
    "data": {"source": "digits"},
    "network": {"name": "resnet18", "small_images": True},
}
SMALL = {
    "data": {"per_class": 40, "image_size": 16},
    "network": {"width": 0.0625},
    "train": {"epochs": 2, "batch": 64},
    "dictionary": {"concepts_per_class": 4},
    "machine": {"batch": 50, "rows": 300},
}
LARGE = {
    "data": {"per_class": 20, "image_size": 64},
    "network": {"width": 0.25},
    "train": {"epochs": 1, "batch": 256, "per_class": 26},
    "dictionary": {"concepts_per_class": 10},
    "encode": {"positions": "pooled"},
    "machine": {"batch": 256},
}
VIRTUAL = SMALL | {
    "machine": SMALL["machine"] | {"storage": "virtual"},
    "train": {"epochs": 0},
    "encode": {"positions": "pooled"},
}


def write(folder, settings):
    """Write a configuration; return the words of the command that runs it."""
    config = {"analyses": [], "pages": []}
    for section in [*settings, "data", "network"]:
        config[section] = COMMON.get(section, {}) | settings.get(section, {})
    config["machine"] = {"device": "cpu"} | settings.get("machine", {})
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(config))
    return ["-m", "vinfo_mpi", "--config", path, "--run-dir", folder / "run"]


@pytest.fixture
def cold(mpirun):
    """Return mpirun of processes whose memory is their own."""
    return partial(mpirun, cold=True)


def figures(text, what):
    """Return a figure of the plan and what it consists of, in bytes."""
    lines = text.split(f"\n{what} ", 1)[1].split("\n\n")[0].splitlines()
    sizes = []
    for line in lines:
        size = re.search(r"([\d.]+) (B|KiB|MiB|GiB)\b", line)
        sizes.append(float(size[1]) * UNITS[size[2]])
    names = [line.split()[0] for line in lines[1:]]
    return sizes[0], dict(zip(names, sizes[1:], strict=True))


@pytest.mark.parametrize(
    "settings", [None, VIRTUAL, LARGE], ids=["the run of all tests", "a file per rank", "large"]
)
def test_the_plan_is_what_the_run_takes(run, tmp_path, cold, settings):
    folder = run[0]
    command = ["-m", "vinfo_mpi", *OPTIONS, "--run-dir", folder]
    if settings:
        folder = tmp_path / "run"
        command = write(tmp_path, settings)
        done = cold(2, *command)
        assert done.returncode == 0, done.stderr
    planned = cold(2, *command, "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert "not planned" not in planned.stdout

    disk, kinds = figures(planned.stdout, "disk")
    used = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    assert disk == pytest.approx(sum(used.values()), rel=0.2)
    for name in ("checkpoints", "activations"):
        of_kind = sum(size for path, size in used.items() if name in path.parts)
        assert kinds[name] == pytest.approx(of_kind, rel=0.2)

    memory, stages = figures(planned.stdout, "memory")
    timings = json.loads((folder / "timings.json").read_text())
    peaks = {stage: timing["peak_memory"] for stage, timing in timings.items()}
    assert memory == pytest.approx(max(peaks.values()), rel=0.2)
    assert set(timings) <= set(stages)
    if settings is not VIRTUAL:
        assert stages["train"] == pytest.approx(peaks["train"], rel=0.2)
    if settings is LARGE:  # not only the program itself is foreseen
        program = stages["program"]
        assert stages["train"] - program == pytest.approx(peaks["train"] - program, rel=0.3)

    _, sent = figures(planned.stdout, "communication")
    for stage in ("extract", "encode", "score", "importance"):
        really = timings[stage]["bytes"]["communicated"]
        assert sent[stage] == pytest.approx(really, rel=0.05)  # rounded for people


def test_the_plan_says_whose_limit_it_is(tmp_path, cold):
    command = write(tmp_path, SMALL)
    plan = cold(2, *command, "--dry-run", SLURM_MEM_PER_NODE="4000")
    assert plan.returncode == 0, plan.stderr
    limit = re.search(r"per rank of ([\d.]+) GiB \(Slurm's --mem\)", plan.stdout)
    # Libraries count once, so that it is a little more than half; it is rounded.
    assert 1024 * float(limit[1]) + 51 >= 4000 / 2


def refusal(result):
    """Return the one sentence of a command that was refused."""
    assert result.returncode == 2, result.stderr
    [line] = [line for line in result.stderr.splitlines() if line.startswith("vinfo_mpi: ")]
    return line


def test_less_than_the_program_itself_takes(tmp_path, cold):
    result = cold(2, *write(tmp_path, SMALL), SLURM_MEM_PER_NODE="500")
    assert re.search(
        r"per rank, [\d.]+ MiB are free or allowed \(Slurm's --mem\); "
        r"the program alone takes more",
        refusal(result),
    )
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_less_than_the_stages_take(tmp_path, cold):
    result = cold(2, *write(tmp_path, LARGE), "--set", "machine.memory_limit=1.2")
    assert re.search(
        r"stage train needs [\d.]+ GiB .*, 1\.2 GiB .* \(machine\.memory_limit\); "
        r"use more ranks, or",
        refusal(result),
    )


OWN = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 4, 4)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.recurrent = nn.LSTM(8, 6, batch_first=True)
        self.last = nn.ReLU()
        self.head = nn.Linear(6, 10)

    def forward(self, images):
        tokens = self.embed(images).flatten(2).transpose(1, 2)
        tokens, _ = self.attention(tokens, tokens, tokens)
        tokens, _ = self.recurrent(tokens)
        return self.head(self.last(tokens).mean(1))
"""


def test_modules_that_return_tuples(tmp_path, python):
    (tmp_path / "own.py").write_text(OWN)
    settings = {
        "network": {"target": "own:Net", "name": None, "small_images": False},
        "extract": {"taps": ["last"], "tokens": "mean"},
    }
    done = python(*write(tmp_path, settings), "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1: last (6)" in done.stdout


def test_limits_hold_for_what_was_measured_before(copy, python):
    folder = copy("config.yaml", "checkpoints", "activations")
    plan = folder / "plan.json"
    command = ["-m", "vinfo_mpi.dictionary", *OPTIONS, "--run-dir", folder]
    for limit, need in (
        ("memory_limit=0.25", "of memory per rank"),
        ("disk_limit=0.0005", "of disk"),
    ):
        assert need in refusal(python(*command, "--set", f"machine.{limit}"))
        # It stays for the next job, though this one is refused.
        assert json.loads(plan.read_text())["sizes"]["n"] == 400
    plan.write_text("{")
    assert python(*command).returncode == 0
    assert json.loads(plan.read_text())["sizes"]["n"] == 400
