"""Which stages a setting makes stale, what comes before what, what belongs to the pipeline."""

from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_run import on

from vinfo_mpi.config.load import check_config
from vinfo_mpi.config.schema import Network
from vinfo_mpi.errors import Failure, InputError
from vinfo_mpi.networks import libraries
from vinfo_mpi.parallel.devices import Binding
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.pipeline import engine
from vinfo_mpi.registry import ANALYSES, STAGES, before, needs
from vinfo_mpi.run import freshness
from vinfo_mpi.run.freshness import settings
from vinfo_mpi.run.provenance import digest


def config(**sections):
    return check_config({"network": {"name": "resnet18"}, **sections})


RANDOM = {  # the stages whose results depend on the seed
    "train",
    "extract",
    "dictionary",
    "score",
    "dynamics",
    "flow",
    "redundancy",
    "support",
    "metafeatures",
    "robustness",
    "stability",
    "autoencoder",
    "sedimentation",
    "patterns",
    "audit",
    "names",
    "pointwise",
    "facets",
    "bias",
    "visualise",
}


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        ({"seed": 1}, RANDOM),
        (
            {"data": {"image_size": 64}},
            {"train", "extract", "robustness", "bias", "visualise"},
        ),
        ({"data": {"per_class": 5}}, {"extract", "robustness", "visualise"}),
        ({"data": {"planted": {"images": 5}}}, set()),
        (
            {"data": {"table": "t.csv"}},
            {"train", "extract", "robustness", "bias", "visualise"},
        ),
        ({"audit": {"carriers": 5}}, {"audit"}),
        ({"train": {"save": [1]}}, set()),
        ({"train": {"rate": 0.5}}, {"train"}),
        ({"extract": {"dtype": "float16"}}, {"extract", "sedimentation"}),
        # Files without maps are stale all the same: test_end_to_end.py.
        ({"extract": {"maps": "all"}}, {"sedimentation"}),
        ({"dictionary": {"concepts_per_class": 3}}, {"dictionary", "stability", "sedimentation"}),
        (
            {"encode": {"positions": "pooled"}},
            {"encode", "robustness", "stability", "autoencoder", "sedimentation", "visualise"},
        ),
        (
            {"score": {"folds": 3}},
            {"score", "dynamics", "flow", "redundancy", "stability", "autoencoder"}
            | {"sedimentation", "audit", "pointwise"},
        ),
        ({"score": {"also": ["in-sample"]}}, {"score"}),
        (
            {"importance": {"target": "label"}},
            {"importance", "metafeatures", "autoencoder", "sedimentation"},
        ),
        ({"autoencoder": {"steps": 7}}, {"autoencoder"}),
        ({"flow": {"extremes": 0.2}}, {"flow"}),
        ({"facets": {"images": 30}}, {"facets"}),
        ({"spectrum": {"taps": "all"}}, {"spectrum"}),
        ({"visualise": {"steps": 9}}, {"visualise"}),
        ({"machine": {"batch": 7}}, set()),
        ({"name": "another"}, set()),
        ({"report": {"thumbnail": 32}}, {"report"}),
        ({"analyses": []}, set()),
        ({"pages": []}, set()),
    ],
)
def test_a_setting_concerns_the_stages_whose_result_it_changes(change, stale):
    before_it = config()
    after_it = config(**change)
    changed = {stage for stage in STAGES if settings(before_it, stage) != settings(after_it, stage)}
    assert changed == stale


def test_what_a_stage_needs_comes_before_it():
    before_it = set()
    for name in STAGES:
        assert set(needs(name)) <= before_it
        before_it.add(name)
    assert before("flow") == {"train", "extract", "dictionary", "encode", "score"}


def test_the_whole_pipeline_has_the_pages_that_are_asked_for():
    assert config().chosen_pages == ["visualise", "report"]
    assert config(pages=["report"]).chosen_pages == ["report"]
    assert config(dictionary={"source": "factors"}).chosen_pages == ["report"]


def test_the_whole_pipeline_has_the_analyses_that_are_asked_for():
    assert "flow" in config().chosen_analyses
    assert "robustness" not in config().chosen_analyses
    assert config(analyses="all").chosen_analyses == list(ANALYSES)
    assert config(analyses=["hoyer"]).chosen_analyses == ["hoyer"]
    with pytest.raises(InputError, match="unknown analysis 'flwo'; did you mean 'flow'"):
        config(analyses=["flwo"])


def test_what_an_earlier_version_of_a_stage_has_left_is_stale(tmp_path, monkeypatch):
    run = on(tmp_path)
    monkeypatch.setitem(STAGES, "hoyer", replace(STAGES["hoyer"], version=1))
    first = freshness.fingerprint_of(run, "hoyer", {})
    assert first == digest("hoyer", settings(run.config, "hoyer"), {})  # as before there were any
    monkeypatch.setitem(STAGES, "hoyer", replace(STAGES["hoyer"], version=2))
    assert freshness.fingerprint_of(run, "hoyer", {}) != first


@pytest.mark.parametrize("allocate", [np.empty, torch.empty])
def test_a_full_memory_is_a_sentence_with_the_setting_to_change(allocate):
    bindings = [Binding("node", "cpu", "", "", 1)]
    run = SimpleNamespace(bindings=bindings, ranks=Ranks())
    sentence = r"^stage encode: the memory of the node .* 1 rank uses it; lower machine\.rows"
    with pytest.raises(Failure, match=sentence), engine._memory_explained(run, "encode"):
        allocate(2**55)


def test_a_training_does_not_depend_on_the_files_beside_it(tmp_path, monkeypatch):
    """Not even on those of the folder where it was started: its own results may lie there."""
    run = on(tmp_path)
    before_training = freshness.made_with(run)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "more.txt").touch()
    assert freshness.made_with(run) == before_training
    assert before_training == digest(settings(run.config, "train"), None)


@pytest.mark.parametrize("name", ["model.safetensors", "preprocessor_config.json"])
def test_changed_files_of_a_hugging_face_folder_make_training_and_extraction_stale(tmp_path, name):
    model = tmp_path / "model"
    model.mkdir()
    for file in ("config.json", "model.safetensors", "preprocessor_config.json", "README.md"):
        (model / file).write_text("as it was")
    run = on(tmp_path, f"network.name=hf/{model}", "network.small_images=false", "network.width=1")
    before = freshness.made_with(run), freshness.fingerprint(run, "extract")
    (model / "README.md").write_text("about it")
    assert (freshness.made_with(run), freshness.fingerprint(run, "extract")) == before
    (model / name).write_text("as it is")
    assert freshness.made_with(run) != before[0]
    assert freshness.fingerprint(run, "extract") != before[1]


def test_a_hugging_face_folder_that_is_not_there_has_no_files():
    for name in ("hf/nobody/nothing", "hf//not/there", "timm/resnet18"):
        assert libraries.files(Network(name=name)) == []


class Planned(Exception):
    """The plan is looked at: what follows is no part of the test."""


@pytest.mark.parametrize(
    ("workers", "targets", "force", "prepared"),
    [
        (1, ["extract"], True, True),
        (1, ["train"], True, True),
        (0, ["extract"], True, False),
        (1, ["score"], True, False),
        (1, ["score"], False, False),  # up to date
    ],
)
def test_what_reads_images_is_prepared_where_they_will_be_read(
    run, monkeypatch, workers, targets, force, prepared
):
    """Before the network is looked at, which takes a while."""
    calls = []
    monkeypatch.setattr(engine.readers, "prepare", lambda: calls.append("prepare"))

    def check_plan(run, earlier):
        raise Planned

    monkeypatch.setattr(engine, "check_plan", check_plan)
    monkeypatch.setattr(engine.image_list, "forget", lambda folder: None)
    with suppress(Planned):
        engine.bring_up_to_date(on(run[0], f"machine.workers={workers}"), targets, force=force)
    assert calls == ["prepare"] * prepared
