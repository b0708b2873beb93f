"""The plan against what a run really takes, and what is kept of it for the next job."""

import json
import re

import pytest
import torch
import yaml
from contents import SMALL as OPTIONS
from pydantic import BaseModel
from small_run import on

from vinfo_mpi.pipeline import measure, plan

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
    "data": {"per_class": 20, "image_size": 64, "test_share": 0.6},
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
    (folder / "own.yaml").write_text(
        yaml.safe_dump(together | {"analyses": [], "pages": [], "machine": {"device": "cpu"} | settings.get("machine", {})})
    )
    return ["-m", "vinfo_mpi", "--config", folder / "own.yaml", "--run-dir", folder / "run"]


def figures(text, what):
    """Return a figure of the plan and its parts, in bytes."""
    lines = text.split(f"\n{what} ", 1)[1].split("\n\n")[0].splitlines()
    found = [re.search(r"([\d.]+) (B|KiB|MiB|GiB)\b", line) for line in lines]
    sizes = [float(one[1]) * UNITS[one[2]] for one in found]
    return sizes[0], dict(zip([line.split()[0] for line in lines[1:]], sizes[1:], strict=True))


@pytest.mark.parametrize("settings", [None, VIRTUAL, LARGE], ids=["the run of all tests", "a file per rank", "large"])
def test_the_plan_is_what_the_run_takes(run, tmp_path, mpirun, settings):
    if settings:
        folder, command = tmp_path / "run", write(tmp_path, settings)
        done = mpirun(2, *command, limit=240)
        assert done.returncode == 0, done.stderr
    else:
        folder, command = run[0], ["-m", "vinfo_mpi", *OPTIONS, "--run-dir", run[0]]
    planned = mpirun(2, *command, "--dry-run")
    assert planned.returncode == 0, planned.stderr

    disk, parts = figures(planned.stdout, "disk")
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

    sent = {stage: one["bytes"]["communicated"] for stage, one in timings.items()}
    _, stages = figures(planned.stdout, "communication")
    for name in ("extract", "encode", "score", "importance"):
        assert stages[name] == pytest.approx(sent[name], rel=0.05)  # rounded for people


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


# --- what is kept ---


@pytest.fixture(scope="module")
def sizes(tmp_path_factory):
    return measure.sizes(on(tmp_path_factory.mktemp("measured")))


def test_sizes_are_read_back(tmp_path, sizes):
    assert plan.known(on(tmp_path)) is None
    plan.keep(on(tmp_path), sizes)
    assert plan.known(on(tmp_path)) == sizes


@pytest.mark.parametrize(
    "setting, same",
    [
        ("name=another", True),
        ("score.folds=3", True),
        ("encode.positions=pooled", True),
        ("machine.rows=7", True),
        ("machine.memory_limit=3", True),
        ("seed=1", False),
        ("data.per_class=7", False),
        ("network.width=0.125", False),
        ("train.save=[]", False),
        ("extract.dtype=float16", False),
        ("dictionary.concepts_per_class=3", False),
        ("machine.batch=7", False),
        ("machine.workers=1", False),
    ],
)
def test_a_setting_that_sizes_depend_on_has_them_measured_again(tmp_path, sizes, setting, same):
    plan.keep(on(tmp_path), sizes)
    assert plan.known(on(tmp_path, setting)) == (sizes if same else None)


def test_another_number_of_ranks_and_another_device_too(tmp_path, sizes):
    plan.keep(on(tmp_path), sizes)
    more, gpu = on(tmp_path), on(tmp_path)
    more.ranks.size, gpu.device = 2, torch.device("cuda")
    assert plan.known(more) is plan.known(gpu) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:-20],
        lambda text: "[]",
        lambda text: '{"fingerprint": "0123456789abcdef", "sizes": null}',
        lambda text: '{"sizes": {}}',
        lambda text: text.replace('"n": 400', '"n": 401'),
        lambda text: text.replace('"n": 400,', ""),
        lambda text: text.replace('"n": 400', '"m": 400'),
    ],
)
def test_a_damaged_or_foreign_file_counts_as_none(tmp_path, sizes, damage):
    plan.keep(on(tmp_path), sizes)
    text = (tmp_path / "plan.json").read_text()
    assert damage(text) != text
    (tmp_path / "plan.json").write_text(damage(text))
    assert plan.known(on(tmp_path)) is None


class Watched:
    """A configuration that notes which settings are asked for."""

    def __init__(self, section, asked, name=""):
        self._section, self._asked, self._name = section, asked, name

    def __getattr__(self, name):
        value = getattr(self._section, name)
        if isinstance(value, BaseModel):
            return Watched(value, self._asked, name)
        if name in type(self._section).model_fields:
            self._asked.add((self._name or name, name))
        return value


@pytest.mark.parametrize(
    "setting", ["extract.maps=all", "dictionary.kind=joint", "dictionary.source=pca", "network.checkpoints=[own.pt]"]
)
def test_sizes_depend_on_no_other_settings(tmp_path, monkeypatch, setting):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.pt").touch()
    run, asked = on(tmp_path, setting), set()
    run.config = Watched(run.config, asked)
    measure.sizes(run)
    assert {("data", "per_class"), ("machine", "batch"), ("seed", "seed")} < asked
    assert {(section, name) for section, name in asked if plan.MEASURED.get(section) is not True} <= {
        ("machine", name) for name in plan.MEASURED["machine"]
    }


def test_the_next_job_starts_without_torchvision(copy, python):
    folder = copy("config.yaml", "checkpoints", "activations")
    options = [*OPTIONS, "--set", "analyses=[]", "--set", "pages=[]", "--run-dir", folder]
    first = python("-m", "vinfo_mpi.dictionary", *options)
    assert first.returncode == 0, first.stderr
    kept = (folder / "plan.json").read_text()
    (folder / "dictionary.h5").unlink()
    done = python("-X", "importtime", "-m", "vinfo_mpi", *options, "--set", "score.folds=4")
    assert done.returncode == 0, done.stderr
    assert re.findall(r"(\w+): running", done.stderr) == ["dictionary", "encode", "score", "importance", "dynamics"]
    imported = set(re.findall(r"\| +(\S+)$", done.stderr, re.MULTILINE))
    assert "torch" in imported and not {"torchvision", "sklearn", "vinfo_mpi.pipeline.measure"} & imported
    assert (folder / "plan.json").read_text() == kept


def test_limits_hold_for_what_is_kept(copy, python):
    folder = copy("config.yaml", "checkpoints", "activations")
    command = ["-m", "vinfo_mpi.dictionary", *OPTIONS, "--run-dir", folder]
    for limit, need in (("memory_limit=0.25", "of memory per rank"), ("disk_limit=0.0005", "of disk")):
        assert need in refusal(python(*command, "--set", f"machine.{limit}"))
        assert json.loads((folder / "plan.json").read_text())["sizes"]["n"] == 400  # kept for the next, though refused
    (folder / "plan.json").write_text("{")
    assert python(*command).returncode == 0
    assert plan.known(on(folder)).n == 400
