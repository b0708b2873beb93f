"""The plan against what a run really takes."""

import json
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
COMMON = {"seed": 0, "data": {"source": "digits"}, "network": {"name": "resnet18", "small_images": True}}
SMALL = {
    "data": {"per_class": 40, "image_size": 16},
    "network": {"width": 0.0625},
    "train": {"epochs": 2, "batch": 64},
    "dictionary": {"concepts_per_class": 4},
    "machine": {"batch": 50, "rows": 300},
}
LARGE = {
    "data": {"per_class": 40, "image_size": 64},
    "network": {"width": 0.25},
    "train": {"epochs": 1, "batch": 256},
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
    together = {name: COMMON.get(name, {}) | settings.get(name, {}) for name in [*settings, "data", "network"]}
    (folder / "own.yaml").write_text(yaml.safe_dump(together | {"machine": {"device": "cpu"} | settings.get("machine", {})}))
    return ["-m", "vinfo_mpi", "--config", folder / "own.yaml", "--run-dir", folder / "run"]


def figures(text, what):
    """Return a figure of the plan and its parts, in bytes."""
    lines = text.split(f"\n{what} ", 1)[1].split("\n\n")[0].splitlines()
    found = [re.search(r"([\d.]+) (B|KiB|MiB|GiB)\b", line) for line in lines]
    sizes = [float(one[1]) * UNITS[one[2]] for one in found]
    return sizes[0], dict(zip([line.split()[0] for line in lines[1:]], sizes[1:], strict=True))


@pytest.mark.parametrize("settings", [SMALL, VIRTUAL, LARGE], ids=["small", "a file per rank", "large"])
def test_the_plan_is_what_the_run_takes(tmp_path, mpirun, settings):
    command = write(tmp_path, settings)
    planned = mpirun(2, *command, "--dry-run")
    assert planned.returncode == 0, planned.stderr
    done = mpirun(2, *command, limit=240)
    assert done.returncode == 0, done.stderr

    disk, parts = figures(planned.stdout, "disk")
    folder = tmp_path / "run"
    used = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    assert disk == pytest.approx(sum(used.values()), rel=0.2)
    for name in ("checkpoints", "activations"):
        assert parts[name] == pytest.approx(sum(size for path, size in used.items() if name in path.parts), rel=0.2)

    memory, stages = figures(planned.stdout, "memory")
    timings = json.loads((folder / "timings.json").read_text())
    assert memory == pytest.approx(max(one["peak_memory"] for one in timings.values()), rel=0.2)
    assert set(timings) <= set(stages)
    if settings is not VIRTUAL:
        assert stages["train"] == pytest.approx(timings["train"]["peak_memory"], rel=0.2)
    if settings is LARGE:  # not only the program itself is foreseen
        assert stages["train"] - stages["program"] == pytest.approx(timings["train"]["peak_memory"] - stages["program"], rel=0.3)


def test_the_plan_says_whose_limit_it_is(tmp_path, mpirun):
    command = write(tmp_path, SMALL)
    plan = mpirun(2, *command, "--dry-run", SLURM_MEM_PER_NODE="4000")
    assert plan.returncode == 0, plan.stderr
    limit = re.search(r"per rank of ([\d.]+) GiB \(Slurm's --mem\)", plan.stdout)
    assert 1024 * float(limit[1]) + 51 >= 4000 / 2  # libraries count once, so that it is a little more than half; rounded


def refusal(result):
    assert result.returncode == 2, result.stderr
    [line] = [line for line in result.stderr.splitlines() if line.startswith("vinfo_mpi: ")]
    return line


def test_less_than_the_program_itself_takes(tmp_path, mpirun):
    result = mpirun(2, *write(tmp_path, SMALL), SLURM_MEM_PER_NODE="500")
    assert re.search(r"per rank, [\d.]+ MiB are free or allowed \(Slurm's --mem\); the program alone takes more", refusal(result))
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_less_than_the_stages_take(tmp_path, mpirun):
    result = mpirun(2, *write(tmp_path, LARGE), "--set", "machine.memory_limit=1.2")
    assert re.search(r"stage train needs [\d.]+ GiB .*, 1\.2 GiB .* \(machine\.memory_limit\); use more ranks, or", refusal(result))


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
