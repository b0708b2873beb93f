"""What is measured before a run, and kept of it for the next job."""

import re

import pytest
import torch
from contents import SMALL as OPTIONS
from pydantic import BaseModel
from small_run import on

from vinfo_mpi.networks import footprint
from vinfo_mpi.pipeline import engine, measure, measured


@pytest.fixture(scope="module")
def sizes(tmp_path_factory):
    return measure.sizes(on(tmp_path_factory.mktemp("measured")))


def test_sizes_are_read_back(tmp_path, sizes):
    assert measured.read(on(tmp_path)) is None
    measured.write(on(tmp_path), sizes)
    assert measured.read(on(tmp_path)) == sizes


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
    measured.write(on(tmp_path), sizes)
    assert measured.read(on(tmp_path, setting)) == (sizes if same else None)


def test_images_at_once_are_those_that_were_asked_for(sizes):
    assert sizes.batch == 50


def test_images_at_once_follow_from_the_largest_feature_map(tmp_path, monkeypatch):
    run = on(tmp_path, "machine.batch=null")
    assert run.batch == 128
    # The small run's largest map has 4 channels of 16 x 16 pixels.
    monkeypatch.setattr(footprint, "LARGEST_ON_HEAP", 20 * 4 * 4 * 16**2 + 1)
    engine.check_plan(run)
    assert run.batch == 16
    assert measured.read(run).batch == 16


def test_another_number_of_ranks_and_another_device_too(tmp_path, sizes):
    measured.write(on(tmp_path), sizes)
    more_ranks = on(tmp_path)
    more_ranks.ranks.size = 2
    assert measured.read(more_ranks) is None
    on_gpu = on(tmp_path)
    on_gpu.device = torch.device("cuda")
    assert measured.read(on_gpu) is None


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
    measured.write(on(tmp_path), sizes)
    path = tmp_path / "plan.json"
    text = path.read_text()
    assert damage(text) != text
    path.write_text(damage(text))
    assert measured.read(on(tmp_path)) is None


class Watched:
    """A configuration that notes which settings are asked for."""

    def __init__(self, section, asked, name=""):
        self._section = section
        self._asked = asked
        self._name = name

    def __getattr__(self, name):
        value = getattr(self._section, name)
        if isinstance(value, BaseModel):
            return Watched(value, self._asked, name)
        if name in type(self._section).model_fields:
            self._asked.add((self._name or name, name))
        return value


@pytest.mark.parametrize(
    "setting",
    [
        "extract.maps=all",
        "dictionary.kind=joint",
        "dictionary.source=pca",
        "network.checkpoints=[own.pt]",
    ],
)
def test_sizes_depend_on_no_other_settings(tmp_path, monkeypatch, setting):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.pt").touch()
    run = on(tmp_path, setting)
    asked = set()
    run.config = Watched(run.config, asked)
    measure.sizes(run)
    assert {("data", "per_class"), ("machine", "batch"), ("seed", "seed")} < asked
    of_others = {pair for pair in asked if measured.SETTINGS.get(pair[0]) is not True}
    assert of_others <= {("machine", name) for name in measured.SETTINGS["machine"]}


def test_the_next_job_starts_without_torchvision(copy, python):
    folder = copy("config.yaml", "checkpoints", "activations")
    plan = folder / "plan.json"
    options = [*OPTIONS, "--set", "analyses=[]", "--set", "pages=[]", "--run-dir", folder]
    first = python("-m", "vinfo_mpi.dictionary", *options)
    assert first.returncode == 0, first.stderr
    written = plan.read_text()
    (folder / "dictionary.h5").unlink()
    done = python("-X", "importtime", "-m", "vinfo_mpi", *options, "--set", "score.folds=4")
    assert done.returncode == 0, done.stderr
    assert re.findall(r"(\w+): running", done.stderr) == [
        "dictionary",
        "encode",
        "score",
        "importance",
        "dynamics",
    ]
    imported = set(re.findall(r"\| +(\S+)$", done.stderr, re.MULTILINE))
    assert "torch" in imported
    assert not {"torchvision", "sklearn", "vinfo_mpi.pipeline.measure"} & imported
    assert plan.read_text() == written
