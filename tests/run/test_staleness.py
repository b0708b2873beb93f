"""What is stale, why, and what becomes of earlier results that are about to be replaced."""

import os
import shutil
from dataclasses import replace

import pytest
import yaml
from contents import SMALL, datasets
from small_run import on, run_stage
from tiny_run import refusal

from vinfo_mpi.pipeline import plan
from vinfo_mpi.registry import STAGES, before
from vinfo_mpi.run import configuration, freshness, previous, staleness
from vinfo_mpi.storage.rows import RowReader

SPINE = ("config.yaml", "checkpoints", "activations", "dictionary.h5", "codes.h5", "results.h5")


@pytest.fixture
def folder(copy):
    """A finished run, without its pictures."""
    return copy(*SPINE)


def reasons(run, *targets):
    """Return why the stages before the targets, and these, are stale."""
    stages = [s for s in STAGES if any(s == target or s in before(target) for target in targets)]
    return {stage: list(why.reasons) for stage, why in staleness.find(run, stages).items()}


# --- why ---


def test_nothing_is_stale_in_a_finished_run(folder):
    assert reasons(on(folder), "score", "importance", "dynamics", "stability") == {}


def test_settings_with_both_values_and_what_follows_from_them(folder):
    changed = on(folder, "dictionary.concepts_per_class=3", "score.folds=4", "score.also=[]")
    assert reasons(changed, "score", "importance") == {
        "dictionary": ["dictionary.concepts_per_class 4 → 3"],
        "encode": ["dictionary written again"],
        "score": ["score.folds 5 → 4", "codes written again"],
        "importance": ["dictionary written again", "codes written again"],
    }


def test_a_setting_of_a_later_version_is_told_by_its_default(folder):
    """It is not in the fingerprint at its default, so that earlier results stay good."""
    changed = reasons(on(folder, "data.exif_rotation=true"), "extract")
    assert changed["extract"][0] == "data.exif_rotation false → true"


def test_what_is_made_again_as_it_was_makes_nothing_else_stale(folder):
    (folder / "codes.h5").unlink()
    assert reasons(on(folder), "score", "dynamics") == {"encode": ["missing"]}
    (folder / "codes.h5").write_bytes(b"not HDF5")
    assert reasons(on(folder), "score") == {"encode": ["damaged"]}


def test_checkpoints_and_activations_by_name(folder):
    (folder / "checkpoints/epoch_002.pt").unlink()
    assert reasons(on(folder), "extract") == {
        "train": ["epoch_002 missing"],
        "extract": ["checkpoints written again"],
    }
    shutil.rmtree(folder / "activations")
    names = ["epoch_000 missing", "epoch_001 missing", "epoch_002 missing"]
    assert reasons(on(folder), "extract")["extract"] == names


def test_the_version_of_what_a_stage_computes(folder, monkeypatch):
    monkeypatch.setitem(STAGES, "hoyer", replace(STAGES["hoyer"], version=3))
    assert reasons(on(folder), "hoyer") == {"hoyer": ["version 1 → 3"]}


def test_another_file_of_the_users(folder, tmp_path):
    other = tmp_path / "super.yaml"
    other.write_text("{'0': a, '1': b}")
    [reason] = reasons(on(folder, f"metafeatures.super_classes={other}"), "metafeatures").values()
    assert len(reason) == 2
    assert reason[0].endswith("super.yaml")
    assert reason[1] == "other content of super-classes"


# --- what is kept of earlier results ---


def kept(folder):
    return sorted(path.relative_to(folder / "previous") for path in (folder / "previous").glob("*"))


@pytest.mark.parametrize("storage", ["auto", "virtual"])
def test_results_of_other_settings_are_kept_with_all_that_follows_from_them(folder, storage):
    run = on(folder, f"machine.storage={storage}", "encode.max_iterations=7")
    run_stage(on(folder, f"machine.storage={storage}"), "encode")
    codes = datasets(folder / "codes.h5")["codes"]
    stages = ["train", "extract", "dictionary", "encode", "score"]
    place = previous.keep(run, previous.to_keep(run, staleness.find(run, stages)))
    assert not (place / "dictionary.h5").exists()  # it stays good
    assert previous.to_keep(run, staleness.find(run, stages)) == []  # as a killed job goes on
    run_stage(run, "encode")
    assert datasets(place / "results.h5")["concepts/index"].size == len(codes.T)
    with RowReader(place / "codes.h5", "vinfo-codes") as file:
        assert (file.read("codes") == codes).all()
    assert not (folder / "codes.h5").samefile(place / "codes.h5")
    assert yaml.safe_load((place / "config.yaml").read_text())["encode"]["max_iterations"] != 7


def test_what_was_only_made_from_other_results_is_not_kept(folder):
    (folder / "dictionary.h5").unlink()
    run = on(folder, "dictionary.concepts_per_class=3")
    assert previous.to_keep(run, staleness.find(run, ["dictionary", "encode", "score"])) == []


def test_the_last_three_are_kept(folder):
    run = on(folder)
    places = [previous.keep(run, [folder / "dictionary.h5"]) for _ in range(4)]
    assert [place.exists() for place in places] == [False, True, True, True]


def test_without_hard_links_files_are_moved_but_not_what_holds_parts_of_others(folder, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    place = previous.keep(on(folder), [folder / "codes.h5", folder / "results.h5"])
    assert not (folder / "codes.h5").exists()
    assert freshness.is_current(on(folder), "score") is False  # nothing to read
    assert datasets(folder / "results.h5").keys() == datasets(place / "results.h5").keys()
    assert (folder / "config.yaml").exists()


def test_room_for_what_is_kept_is_a_part_of_the_plan(folder, tmp_path):
    (folder / "previous/2026").mkdir(parents=True)
    with (folder / "previous/2026/codes.h5").open("wb") as file:
        file.truncate(2**40)  # what is kept already counts neither as free nor as needed
    whole = plan._free_disk(folder, 2.0**50, 0.0).size
    own = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) - 2**40
    assert whole - shutil.disk_usage(folder).free == pytest.approx(own, abs=2**26)
    assert whole - plan._free_disk(folder, 2.0**50, 2.0**30).size == pytest.approx(2**30, abs=2**26)


# --- config.yaml ---


def test_sections_of_other_stages_stay_as_these_were_run(folder):
    run = on(folder, "score.folds=4", "importance.target=label", "machine.rows=7")
    configuration.write(run, ["train", "extract", "dictionary", "encode", "importance"])
    written = yaml.safe_load((folder / "config.yaml").read_text())
    assert written["score"]["folds"] == 5
    assert written["importance"]["target"] == "label"
    assert written["machine"]["rows"] == 7


def test_a_refused_command_changes_nothing_and_one_that_runs_says_what_it_replaces(folder, mpirun):
    configuration_before = (folder / "config.yaml").read_bytes()
    changed = ("--set", "encode.max_iterations=7", "--run-dir", folder)
    sentence = refusal(mpirun(2, "-m", "vinfo_mpi.score", *SMALL, *changed, "--only"))
    why = "is stale (encode.max_iterations 5000 → 7); run vinfo_mpi.encode first"
    assert sentence == f"--only score: its input from 'encode' {why}"
    assert (folder / "config.yaml").read_bytes() == configuration_before
    done = mpirun(2, "-m", "vinfo_mpi.encode", *SMALL, *changed)
    assert done.returncode == 0, done.stderr
    assert "encode: encode.max_iterations 5000 → 7" in done.stderr
    [place] = (folder / "previous").iterdir()
    assert f"what this replaces is kept in {place}" in done.stderr
    assert (place / "config.yaml").read_bytes() == configuration_before
    written = yaml.safe_load((folder / "config.yaml").read_text())
    assert written["encode"]["max_iterations"] == 7
