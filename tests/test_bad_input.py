"""What is wrong with names, images, networks and limits is said in a sentence, before any work."""

import json
import re
import shutil

import h5py
import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tiny_run import TINY, refusal

from vinfo_mpi.config.schema import Network
from vinfo_mpi.networks import architectures


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
    (untrained / "tiny.yaml").write_text(
        text.replace("source: digits", f"source: folder\n  root: {untrained}/photos")
    )
    return untrained


# --- names ---


@pytest.mark.parametrize(
    "setting, expected",
    [
        (
            "network.name=resnet81",
            "network.name: torchvision has no classification model 'resnet81'; "
            "did you mean 'resnet18'",
        ),
        (
            "network.weights=IMAGENET1K",
            "network.weights: 'IMAGENET1K' is neither a file nor weights of resnet18; did you mean",
        ),
        ("network.weights=own.pt", "network.weights: own.pt does not exist"),
        ("network.checkpoints=[own_*.pt]", "network.checkpoints: nothing matches 'own_*.pt'"),
        ("data.source=digit", "data.source: 'digit' is not a data set; did you mean 'digits'"),
        (
            "extract.taps=[layer4.1, layer5]",
            "extract.taps: no module is called 'layer5'; did you mean 'layer4'",
        ),
        ("train.save=[2]", "train.save: epoch 2 is outside 0..0"),
    ],
)
def test_unknown_name(untrained, setting, expected, vinfo):
    assert refusal(vinfo(untrained, "vinfo_mpi.extract", setting)).startswith(expected)


# --- images and labels ---


def test_image_folder_without_images(photos, vinfo):
    shutil.rmtree(photos / "photos" / "dog")
    (photos / "photos" / "dog").mkdir()
    sentence = refusal(vinfo(photos, "vinfo_mpi.extract"))
    assert sentence.startswith("data.root: ")
    assert "dog" in sentence


def test_unreadable_image(photos, vinfo):
    sentence = refusal(vinfo(photos, "vinfo_mpi.extract"))
    assert f"cannot read the image {photos}/photos/dog/5.png" in sentence
    assert "data.on_bad_image: skip" in sentence


def test_skipped_image_is_listed_and_the_run_finishes(photos, vinfo):
    # Images are read by processes of their own, which must not take part in MPI.
    result = vinfo(
        photos, "vinfo_mpi.score", "data.on_bad_image=skip", "machine.workers=1", ranks=2
    )
    assert result.returncode == 0, result.stderr
    assert f"skipped: cannot read the image {photos}/photos/dog/5.png" in result.stderr
    [[index, sentence]] = json.loads((photos / "run" / "skipped.json").read_text())["skipped"]
    assert "dog/5.png" in sentence
    with h5py.File(photos / "run" / "codes.h5") as file:
        others = [number for number in range(16) if number != index]
        assert file["samples/id"][()].tolist() == others
    with h5py.File(photos / "run" / "results.h5") as file:
        assert file.attrs["complete"] == 1


def test_table_of_files_that_are_not_there(photos, vinfo):
    (photos / "photos.csv").write_text("path,label\nphotos/cat/0.png,cat\nphotos/cat/1.png,cat\n")
    settings = ("data.source=table", f"data.table={photos}/photos.csv", "data.root=null")
    sentence = refusal(vinfo(photos, "vinfo_mpi.extract", *settings, ranks=2))
    assert f"1 of 2 files do not exist (first: row 2, {photos}/photos/cat/1.png)" in sentence


def test_label_out_of_range(untrained, vinfo):
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


def test_network_with_fewer_outputs_than_classes(untrained, vinfo):
    text = """
import torchvision

def network():
    return torchvision.models.resnet18(num_classes=7)
"""
    (untrained / "own.py").write_text(text)
    settings = [
        "network.target=own:network",
        "network.name=null",
        "network.width=1.0",
        "network.small_images=false",
    ]
    result = vinfo(untrained, "vinfo_mpi.train", *settings)
    assert "the network has 7 outputs, but labels go up to 9" in refusal(result)
    assert not (untrained / "run" / "checkpoints").exists()


# --- values that are not finite ---


def test_weights_that_are_not_finite(untrained, vinfo):
    network = architectures.build(Network.model_validate(TINY["network"]), 10)
    torch.nn.init.constant_(network.layer3[0].conv1.weight, torch.nan)
    torch.save(network.state_dict(), untrained / "nan.pt")
    sentence = refusal(vinfo(untrained, "vinfo_mpi.extract", f"network.weights={untrained}/nan.pt"))
    assert re.match(
        r"/taps/layer3\.0/activations: the activations of sample \d+ hold NaN or infinity", sentence
    )


def test_one_image_on_one_rank_that_is_not_finite(untrained, vinfo):
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
    pool = nn.AdaptiveAvgPool2d(1)
    return Network(nn.Conv2d(3, 4, 3), nn.ReLU(), pool, nn.Flatten(), nn.Linear(4, 2))
"""
    (untrained / "own.py").write_text(text)
    settings = [
        "data.source=own:dataset",
        "data.mean=[0,0,0]",
        "data.std=[1,1,1]",
        "network.target=own:network",
        "network.name=null",
        "network.small_images=false",
        "network.width=1",
        "extract.taps=['1']",
    ]
    sentence = refusal(vinfo(untrained, "vinfo_mpi.extract", *settings, ranks=2))
    assert sentence.startswith(
        "/taps/1/activations: the activations of sample 13 hold NaN or infinity"
    )


# --- memory and disk ---


@pytest.mark.parametrize(
    "setting, figures, remedy",
    [
        (
            "machine.memory_limit=0.25",
            r"MiB of memory per rank, 256\.0 MiB are free or allowed",
            "lower",
        ),
        (
            "machine.disk_limit=0.0005",
            r"of disk, 524\.3 KiB are free or allowed",
            "data.per_class or extract.positions",
        ),
    ],
)
def test_more_than_there_is(untrained, setting, figures, remedy, vinfo):
    result = vinfo(untrained, "vinfo_mpi", setting)
    sentence = refusal(result)
    assert remedy in sentence
    assert re.search(figures, sentence)
    assert not (untrained / "run" / "checkpoints").exists()
