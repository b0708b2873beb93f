import json
import multiprocessing
import os
import re
import shutil
import subprocess

import h5py
import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from vinfo_mpi.config.schema import Network
from vinfo_mpi.networks import architectures

TINY = {
    "data": {"source": "digits", "per_class": 30, "image_size": 16},
    "network": {"name": "resnet18", "small_images": True, "width": 0.0625},
    "train": {"epochs": 1},
    "dictionary": {"concepts_per_class": 3},
    "machine": {"device": "cpu"},
}

# One rank is a process forked from a server that has imported what takes seconds; all else begins anew in each.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["vinfo_mpi.networks.architectures", "sklearn.datasets"])
ONE_RANK = """
import os, runpy, sys
os.environ.clear()
os.environ.update(environment)
os.chdir(folder)
sys.path.insert(0, folder)
for stream in (1, 2):
    os.dup2(os.open(f"{stream}.txt", os.O_CREAT | os.O_TRUNC | os.O_WRONLY), stream)
sys.argv = ["vinfo_mpi", *arguments]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def vinfo(folder, module, *settings, options=(), mpirun=None):
    """Run a command on the folder's configuration and run directory, on one rank or on two by mpirun."""
    arguments = ["--config", f"{folder}/tiny.yaml", "--run-dir", f"{folder}/run", *options]
    arguments += [part for setting in settings for part in ("--set", setting)]
    if mpirun:
        return mpirun(2, "-m", module, *arguments, cwd=folder)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    names = {"environment": environment, "folder": str(folder), "arguments": arguments, "module": module}
    process = SERVER.Process(target=exec, args=(ONE_RANK, names))
    process.start()
    process.join(120)
    process.kill()
    outputs = ((folder / f"{stream}.txt").read_text() for stream in (1, 2))
    return subprocess.CompletedProcess(arguments, process.exitcode, *outputs)


def refusal(result):
    """Return the one sentence of a command that was refused."""
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    [line] = [line for line in result.stderr.splitlines() if line.startswith("vinfo_mpi: ")]
    return line.removeprefix("vinfo_mpi: ")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
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


@pytest.fixture
def untrained(tmp_path):
    """A folder with the configuration alone, and no training."""
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY | {"train": {"epochs": 0}}))
    return tmp_path


@pytest.fixture
def photos(untrained):
    """The same on an image folder of two classes, one image of which cannot be read."""
    generator = np.random.default_rng(0)
    for number in range(16):
        path = untrained / "photos" / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (16, 16, 3), np.uint8)).save(path)
    (untrained / "photos" / "dog" / "5.png").write_bytes(b"no image")
    text = (untrained / "tiny.yaml").read_text()
    (untrained / "tiny.yaml").write_text(text.replace("source: digits", f"source: folder\n  root: {untrained}/photos"))
    return untrained


# --- names ---


@pytest.mark.parametrize(
    "setting, expected",
    [
        ("network.name=resnet81", "network.name: torchvision has no classification model 'resnet81'; did you mean 'resnet18'"),
        ("network.weights=IMAGENET1K", "network.weights: 'IMAGENET1K' is neither a file nor weights of resnet18; did you mean"),
        ("network.weights=own.pt", "network.weights: own.pt is not there"),
        ("network.checkpoints=[own_*.pt]", "network.checkpoints: nothing matches 'own_*.pt'"),
        ("data.source=digit", "data.source: 'digit' is no data set; did you mean 'digits'"),
        ("extract.taps=[layer4.1, layer5]", "extract.taps: no module is called 'layer5'; did you mean 'layer4'"),
        ("train.save=[2]", "train.save: epoch 2 is outside 0..0"),
    ],
)
def test_unknown_name(untrained, setting, expected):
    assert refusal(vinfo(untrained, "vinfo_mpi.extract", setting)).startswith(expected)


# --- images and labels ---


def test_image_folder_without_images(photos):
    shutil.rmtree(photos / "photos" / "dog")
    (photos / "photos" / "dog").mkdir()
    sentence = refusal(vinfo(photos, "vinfo_mpi.extract"))
    assert sentence.startswith("data.root: ")
    assert "dog" in sentence


def test_unreadable_image(photos):
    sentence = refusal(vinfo(photos, "vinfo_mpi.extract"))
    assert f"cannot read the image {photos}/photos/dog/5.png" in sentence
    assert "data.on_bad_image: skip" in sentence


def test_skipped_image_is_listed_and_the_run_finishes(photos, mpirun):
    # Images are read by processes of their own, which must not take part in MPI.
    result = vinfo(photos, "vinfo_mpi.score", "data.on_bad_image=skip", "machine.workers=1", mpirun=mpirun)
    assert result.returncode == 0, result.stderr
    assert f"skipped: cannot read the image {photos}/photos/dog/5.png" in result.stderr
    [[index, sentence]] = json.loads((photos / "run" / "skipped.json").read_text())["skipped"]
    assert "dog/5.png" in sentence
    with h5py.File(photos / "run" / "codes.h5") as file:
        assert file["samples/id"][()].tolist() == [number for number in range(16) if number != index]
    with h5py.File(photos / "run" / "results.h5") as file:
        assert file.attrs["complete"] == 1


def test_label_out_of_range(untrained):
    text = """
from torchvision.datasets import FakeData

def dataset():
    made = FakeData(40, (3, 9, 9), 8)
    made.classes = ["cat", "dog"]
    return made
"""
    (untrained / "own.py").write_text(text)
    sentence = refusal(vinfo(untrained, "vinfo_mpi.extract", "data.source=own:dataset"))
    assert "data.source own:dataset: image " in sentence
    assert "outside 0..1" in sentence


def test_network_with_fewer_outputs_than_classes(untrained):
    text = """
import torchvision

def network():
    return torchvision.models.resnet18(num_classes=7)
"""
    (untrained / "own.py").write_text(text)
    own = ["network.target=own:network", "network.name=null", "network.width=1.0", "network.small_images=false"]
    result = vinfo(untrained, "vinfo_mpi.train", *own)
    assert "the network has 7 outputs, but labels go up to 9" in refusal(result)
    assert not (untrained / "run" / "checkpoints").exists()


# --- concepts ---


@pytest.mark.parametrize("ranks", [1, 2])
def test_class_with_fewer_images_than_concepts(folder, mpirun, ranks):
    result = vinfo(folder, "vinfo_mpi.dictionary", "dictionary.concepts_per_class=31", mpirun=mpirun if ranks > 1 else None)
    assert "class '0' has 30 images, fewer than dictionary.concepts_per_class (31)" in refusal(result)


def test_negative_activations(folder):
    layer = "extract.taps=[layer1.0, layer4.1.bn2]"
    sentence = refusal(vinfo(folder, "vinfo_mpi.dictionary", layer))
    assert "the last tap has negative activations" in sentence
    assert "set dictionary.atoms: signed" in sentence
    assert "layer4.1.relu" in sentence
    remedy = vinfo(folder, "vinfo_mpi.dictionary", layer, "dictionary.atoms=signed")
    assert remedy.returncode == 0, remedy.stderr


# --- values that are not finite ---


def test_weights_that_are_not_finite(untrained):
    network = architectures.build(Network.model_validate(TINY["network"]), 10)
    torch.nn.init.constant_(network.layer3[0].conv1.weight, torch.nan)
    torch.save(network.state_dict(), untrained / "nan.pt")
    sentence = refusal(vinfo(untrained, "vinfo_mpi.extract", f"network.weights={untrained}/nan.pt"))
    assert re.match(r"/taps/layer3\.0/activations: the activations of sample \d+ hold NaN or infinity", sentence)


def test_one_image_on_one_rank_that_is_not_finite(untrained, mpirun):
    text = """
import torch
from torch import nn
from torch.utils.data import TensorDataset

def dataset():
    images = torch.ones(20, 3, 16, 16)
    images[13] = 0
    made = TensorDataset(images)
    made.targets = [number % 2 for number in range(20)]
    return made

class Network(nn.Sequential):
    def forward(self, images):
        return super().forward(images / images.mean((1, 2, 3), keepdim=True))

def network():
    return Network(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
"""
    (untrained / "own.py").write_text(text)
    settings = ["data.source=own:dataset", "data.mean=[0,0,0]", "data.std=[1,1,1]", "network.target=own:network",
                "network.name=null", "network.small_images=false", "network.width=1", "extract.taps=['1']"]  # fmt: skip
    sentence = refusal(vinfo(untrained, "vinfo_mpi.extract", *settings, mpirun=mpirun))
    assert sentence.startswith("/taps/1/activations: the activations of sample 13 hold NaN or infinity")


# --- files of the run ---


def test_run_directory_of_another_experiment(folder):
    before = {path: path.read_bytes() for path in (folder / "run").rglob("[!.]*") if path.is_file()}
    sentence = refusal(vinfo(folder, "vinfo_mpi", "network.width=0.125"))
    assert f"{folder}/run holds the checkpoints of another experiment (network.width was 0.0625, now 0.125)" in sentence
    assert "--run-dir" in sentence
    assert {path: path.read_bytes() for path in (folder / "run").rglob("[!.]*") if path.is_file()} == before


def cut(path):
    path.write_bytes(path.read_bytes()[:3000])


def unfinish(path):
    with h5py.File(path, "r+") as file:
        del file.attrs["complete"]


def replace(path):
    with h5py.File(path, "w") as file:
        file["codes"] = np.zeros(3)


@pytest.mark.parametrize("damage", [cut, unfinish, replace])
@pytest.mark.parametrize("name, stage", [("activations/epoch_001.h5", "extract"), ("codes.h5", "encode")])
def test_damaged_input(folder, name, stage, damage):
    damage(folder / "run" / name)
    sentence = refusal(vinfo(folder, "vinfo_mpi.score", options=["--only"]))
    assert sentence == f"--only score: its input from '{stage}' is missing, damaged or stale; run vinfo_mpi.{stage} first"


def test_damaged_input_is_made_again(folder):
    cut(folder / "run" / "codes.h5")
    result = vinfo(folder, "vinfo_mpi.score")
    assert result.returncode == 0, result.stderr
    assert "encode: running on 1 ranks" in result.stderr
    assert "dictionary: up to date" in result.stderr


@pytest.mark.parametrize("damage, what", [(cut, "is damaged"), (unfinish, "was not finished"), (replace, "is not a vinfo-results")])
def test_damaged_results(folder, damage, what):
    damage(folder / "run" / "results.h5")
    sentence = refusal(vinfo(folder, "vinfo_mpi.score", options=["--only"]))
    assert sentence.startswith(f"{folder}/run/results.h5 {what}")


def test_damaged_checkpoint(folder):
    cut(folder / "run" / "checkpoints" / "epoch_001.pt")
    sentence = refusal(vinfo(folder, "vinfo_mpi.score"))
    assert f"{folder}/run/checkpoints/epoch_001.pt cannot be read" in sentence
    assert "delete it" in sentence


# --- memory and disk ---


@pytest.mark.parametrize(
    "setting, figures, remedy",
    [
        ("machine.memory_limit=0.25", r"MiB of memory per rank, 256\.0 MiB are free or allowed", "lower"),
        ("machine.disk_limit=0.0005", r"of disk, 524\.3 KiB are free or allowed", "data.per_class or extract.positions"),
    ],
)
def test_more_than_there_is(untrained, setting, figures, remedy):
    result = vinfo(untrained, "vinfo_mpi", setting)
    sentence = refusal(result)
    assert remedy in sentence
    assert re.search(figures, sentence)
    assert not (untrained / "run" / "checkpoints").exists()
