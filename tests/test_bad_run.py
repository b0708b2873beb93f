"""What is wrong with a finished run, or with what is asked of it, is said in a sentence."""

import shutil

import h5py
import numpy as np
import pytest
import yaml
from tiny_run import TINY, refusal


@pytest.fixture(scope="module")
def finished(tmp_path_factory, vinfo):
    """A folder with a small configuration and its finished run."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    result = vinfo(folder, "vinfo_mpi")
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def folder(finished, tmp_path):
    """A copy of it."""
    return shutil.copytree(finished, tmp_path / "copy")


# --- concepts ---


@pytest.mark.parametrize("ranks", [1, 2])
def test_class_with_fewer_images_than_concepts(folder, ranks, vinfo):
    setting = "dictionary.concepts_per_class=31"
    sentence = refusal(vinfo(folder, "vinfo_mpi.dictionary", setting, ranks=ranks))
    assert "class '0' has 30 images, fewer than dictionary.concepts_per_class (31)" in sentence


def test_negative_activations(folder, vinfo):
    layer = "extract.taps=[layer1.0, layer4.1.bn2]"
    atoms = "dictionary.atoms=non-negative"
    sentence = refusal(vinfo(folder, "vinfo_mpi.dictionary", layer, atoms))
    assert "the last tap has negative activations" in sentence
    assert "set dictionary.atoms: signed" in sentence
    assert "layer4.1.relu" in sentence
    remedy = vinfo(folder, "vinfo_mpi.dictionary", layer)  # auto
    assert remedy.returncode == 0, remedy.stderr
    assert "the last tap has negative values: atoms are signed" in remedy.stderr


# --- files of the run ---


def contents_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("[!.]*") if path.is_file()}


def test_run_directory_of_another_experiment(folder, vinfo):
    before = contents_of(folder / "run")
    sentence = refusal(vinfo(folder, "vinfo_mpi", "network.width=0.125"))
    expected = (
        f"{folder}/run holds the checkpoints of another experiment "
        "(network.width was 0.0625, now 0.125)"
    )
    assert expected in sentence
    assert "--run-dir" in sentence
    assert contents_of(folder / "run") == before


def test_training_anew_is_refused_before_anything_is_deleted(folder, vinfo):
    before = contents_of(folder / "run/checkpoints")
    result = vinfo(folder, "vinfo_mpi.train", "train.batch=1", options=["--force"], ranks=2)
    assert "train.batch: 1 image per step, fewer than the 2 ranks" in refusal(result)
    assert contents_of(folder / "run/checkpoints") == before != {}


def cut(path):
    path.write_bytes(path.read_bytes()[:3000])


def unfinish(path):
    with h5py.File(path, "r+") as file:
        del file.attrs["complete"]


def replace(path):
    with h5py.File(path, "w") as file:
        file["codes"] = np.zeros(3)


@pytest.mark.parametrize("damage", [cut, unfinish, replace])
@pytest.mark.parametrize(
    "name, stage", [("activations/epoch_001.h5", "extract"), ("codes.h5", "encode")]
)
def test_damaged_input(folder, name, stage, damage, vinfo):
    damage(folder / "run" / name)
    sentence = refusal(vinfo(folder, "vinfo_mpi.score", options=["--only"]))
    assert sentence.startswith(f"--only score: its input from '{stage}' is ")
    assert "damaged" in sentence
    assert sentence.endswith(f"; run vinfo_mpi.{stage} first")


def test_damaged_input_is_made_again(folder, vinfo):
    cut(folder / "run" / "codes.h5")
    result = vinfo(folder, "vinfo_mpi.score")
    assert result.returncode == 0, result.stderr
    assert "encode: running on 1 rank" in result.stderr
    assert "dictionary: up to date" in result.stderr


@pytest.mark.parametrize(
    "damage, what",
    [(cut, "is damaged"), (unfinish, "was not finished"), (replace, "is not a vinfo-results")],
)
def test_damaged_results(folder, damage, what, vinfo):
    damage(folder / "run" / "results.h5")
    sentence = refusal(vinfo(folder, "vinfo_mpi.score", options=["--only"]))
    assert sentence.startswith(f"{folder}/run/results.h5 {what}")


def test_damaged_checkpoint(folder, vinfo):
    cut(folder / "run" / "checkpoints" / "epoch_001.pt")
    sentence = refusal(vinfo(folder, "vinfo_mpi.score"))
    assert f"{folder}/run/checkpoints/epoch_001.pt cannot be read" in sentence
    assert "delete it" in sentence
