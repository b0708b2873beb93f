"""What a folder holds is what a person would say that it holds, or it is refused."""

import os
from collections import Counter

import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from vinfo_mpi.config.schema import Data
from vinfo_mpi.data import datasets
from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel.logs import log

CATS_AND_DOGS = {"cat": 3, "dog": 2}


def save(root, *paths):
    """Write a small picture to each path."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(root / path, "PNG")


def cats_and_dogs(root, below=""):
    for name, count in CATS_AND_DOGS.items():
        save(root, *(f"{below}/{name}/{number}.png".lstrip("/") for number in range(count)))


def load(root, **settings):
    return datasets.load(Data(source="folder", root=str(root), **settings), seed=0)


def images_per_class(images):
    return Counter(images.classes[label] for label in images.labels)


# --- parts of the data ---


@pytest.mark.parametrize(
    "training, held_out",
    [
        ("train", "val"),
        ("train", "valid"),
        ("training", "validation"),
        ("training", "testing"),
        ("Train", "Test"),
        ("images/train", "images/val"),
        ("a/b/TRAIN", "a/b/Eval"),
    ],
)
def test_parts_are_recognised_by_their_names(tmp_path, training, held_out):
    cats_and_dogs(tmp_path, training)
    cats_and_dogs(tmp_path, held_out)
    images = load(tmp_path)
    assert images.classes == ["cat", "dog"]
    assert images.test.tolist() == [False] * 5 + [True] * 5
    assert all(training in name for name in images.names[:5])


def test_validation_goes_before_test_and_the_rest_is_said(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(log, "propagate", True)
    caplog.set_level("INFO", "vinfo_mpi")
    for part in ("test", "train", "val", "unlabelled"):
        cats_and_dogs(tmp_path, part)
    images = load(tmp_path)
    assert len(images.labels) == 10
    assert all(f"{tmp_path}/val" in images.names[index] for index in images.test.nonzero()[0])
    for part in ("test", "unlabelled"):
        assert f"{tmp_path}/{part} is left out" in caplog.text


@pytest.mark.parametrize("name", ["train", "Testing", "validation"])
def test_one_part_alone_is_divided(tmp_path, name):
    cats_and_dogs(tmp_path, name)
    images = load(tmp_path, test_share=0.4)
    assert images_per_class(images) == CATS_AND_DOGS
    assert images.test.sum() == 2


@pytest.mark.parametrize(
    "paths, sentence",
    [
        (["train/cat/0.png", "bus/0.png"], "looks like a part of the data, .*bus beside it"),
        (["train/0.png", "val/0.png"], "holds no class folders"),
        (["train/cat/0.png", "training/cat/0.png"], "both .*train and .*training"),
        (["cat/train/0.png", "cat/test/0.png", "dog/0.png"], r"cat holds parts .*\(test, train\)"),
        (["train/cat/0.png", "val/dog/0.png"], r"hold different classes \('cat'\)"),
    ],
)
def test_doubtful_names_are_refused(tmp_path, paths, sentence):
    save(tmp_path, *paths)
    with pytest.raises(InputError, match=sentence):
        load(tmp_path)


def test_a_class_may_be_called_train(tmp_path):
    save(tmp_path, "train/0.png", "train/1.png", "bus/0.png")
    assert images_per_class(load(tmp_path)) == {"train": 2, "bus": 1}


# --- what is no class and no image ---


def test_ids_are_those_of_torchvision(tmp_path):
    cats_and_dogs(tmp_path)
    save(tmp_path, "cat/b/1.png", "cat/a.x/1.png", "cat/B.png", "dog/10.PNG", "dog/d/e/é.png")
    peer = ImageFolder(str(tmp_path))
    images = load(tmp_path)
    assert list(images.names) == [path for path, _ in peer.samples]
    assert images.labels.tolist() == peer.targets


@pytest.mark.parametrize(
    "path",
    [
        ".ipynb_checkpoints/cat.png",
        "__MACOSX/cat/._0.png",
        "@eaDir/x.png",
        "cat/@eaDir/0.png",
        "cat/.ipynb_checkpoints/0.png",
        "cat/._0.png",
        "dog/.hidden.png",
        "cat/Thumbs.db",
        "cat/notes.txt",
        "0.png",
        "README.png",
    ],
)
def test_what_programs_leave_behind_is_neither_class_nor_image(tmp_path, path):
    cats_and_dogs(tmp_path)
    save(tmp_path, path)
    images = load(tmp_path)
    assert images_per_class(images) == CATS_AND_DOGS
    assert images.classes == ["cat", "dog"]


def test_what_is_left_out_is_said(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(log, "propagate", True)
    caplog.set_level("INFO", "vinfo_mpi")
    cats_and_dogs(tmp_path)
    save(tmp_path, "cat/a.gif", "cat/b.gif", "dog/._0.png", "dog/@eaDir/0.png")
    load(tmp_path)
    assert "5 images in 2 class folders" in caplog.text
    for what in ("2 files with .gif", "1 hidden files", "1 '@eaDir'"):
        assert what in caplog.text


@pytest.mark.parametrize(
    "link, target", [("cat/loop", ".."), ("cat/more", "../dog"), ("cat/a", "."), ("all", ".")]
)
def test_links_into_the_same_data_are_not_followed(tmp_path, link, target):
    cats_and_dogs(tmp_path)
    (tmp_path / link).symlink_to(target)
    assert images_per_class(load(tmp_path)) == CATS_AND_DOGS


def test_links_to_other_places_are_followed(tmp_path):
    cats_and_dogs(tmp_path / "elsewhere")
    (tmp_path / "data").mkdir()
    for name in CATS_AND_DOGS:
        (tmp_path / "data" / name).symlink_to(tmp_path / "elsewhere" / name)
    (tmp_path / "data" / "dog" / "up").symlink_to(tmp_path / "elsewhere")
    images = load(tmp_path / "data")
    assert images.classes == ["cat", "dog"]
    assert images.labels.tolist().count(0) == 3


def test_names_of_any_bytes(tmp_path):
    cats_and_dogs(tmp_path)
    (tmp_path / "dog").rename(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    images = load(tmp_path)
    assert sorted(images.classes) == ["caf\ufffd", "cat"]
    assert images.read(0).size == (4, 4)


@pytest.mark.parametrize("parts", [("",), ("train", "val")])
def test_empty_class_folders_are_refused_or_left_out(tmp_path, parts):
    for part in parts:
        cats_and_dogs(tmp_path, part)
        (tmp_path / part / "ant").mkdir()
    with pytest.raises(InputError, match=r"ant holds no images; .*data\.on_empty_class: skip"):
        load(tmp_path)
    images = load(tmp_path, on_empty_class="skip")
    assert images.classes == ["cat", "dog"]
    assert set(images.labels) == {0, 1}


def test_a_class_that_is_empty_in_one_part_keeps_its_number(tmp_path):
    cats_and_dogs(tmp_path, "train")
    save(tmp_path, "val/dog/0.png")
    (tmp_path / "val" / "cat").mkdir()
    images = load(tmp_path, on_empty_class="skip")
    assert images.labels[images.test].tolist() == [1]


# --- files that are no images ---


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<!DOCTYPE html><html></html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        None,
    ],
    ids=["empty", "html", "git-lfs", "svg", "bomb"],
)
def test_files_that_cannot_be_read_are_named(tmp_path, content):
    cats_and_dogs(tmp_path)
    path = tmp_path / "cat" / "1.png"
    if content is None:
        Image.new("1", (20000, 10000)).save(path)
    else:
        path.write_bytes(content)
    images = load(tmp_path)
    with pytest.raises(InputError, match=rf"cannot read the image {path} .*on_bad_image: skip"):
        images.read(1)
    assert images.read(2)
