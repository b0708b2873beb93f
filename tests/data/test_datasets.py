import struct
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from vinfo_mpi.config.schema import Data
from vinfo_mpi.data import datasets
from vinfo_mpi.data.images import Images, rank_in_class
from vinfo_mpi.errors import InputError


@pytest.fixture(scope="module")
def digits():
    return datasets.load(Data(), seed=0)


def save_images(folder, count=5):
    """Write grey 6x6 PNGs whose value is their number."""
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("L", (6, 6), number).save(folder / f"{number}.png")


def save_mnist(root, labels, split):
    """Write MNIST's own files: the image of a label is filled with it."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    pixels = np.repeat(np.array(labels, np.uint8), 28 * 28)
    (raw / f"{split}-images-idx3-ubyte").write_bytes(
        struct.pack(">IIII", 2051, len(labels), 28, 28) + pixels.tobytes()
    )
    (raw / f"{split}-labels-idx1-ubyte").write_bytes(
        struct.pack(">II", 2049, len(labels)) + bytes(labels)
    )


def save_module(folder, monkeypatch, name, text):
    (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(folder)


# --- digits ---


def test_digits_are_those_of_scikit_learn(digits):
    bunch = load_digits()
    assert np.array_equal(digits.labels, bunch.target)
    assert digits.classes == [str(number) for number in range(10)]
    for index in (0, 700, 1796):
        assert np.array_equal(
            np.asarray(digits.read(index)), np.round(bunch.images[index] * 255 / 16)
        )


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_the_same_share_of_every_class_is_held_out(share):
    images = datasets.load(Data(test_share=share), seed=3)
    for label in range(10):
        held_out = images.test[images.labels == label]
        assert held_out.sum() == round(share * len(held_out))


def test_ids_and_division_depend_on_the_seed_alone(digits):
    again = datasets.load(Data(), seed=0)
    other_seed = datasets.load(Data(), seed=1)
    assert np.array_equal(again.test, digits.test)
    assert not np.array_equal(other_seed.test, digits.test)
    assert np.array_equal(other_seed.labels, digits.labels)


# --- which images are analysed ---


def test_analysed_are_those_of_the_split(digits):
    train = digits.analysed(Data(analyse="train"), seed=0)
    assert np.array_equal(train, np.flatnonzero(~digits.test))
    assert np.array_equal(digits.training(), train)
    test = digits.analysed(Data(analyse="test"), seed=0)
    assert np.array_equal(test, np.flatnonzero(digits.test))
    assert np.array_equal(digits.analysed(Data(analyse="all"), seed=0), np.arange(1797))


def test_per_class_is_balanced_nested_and_ascending(digits):
    few = digits.analysed(Data(per_class=7), seed=0)
    more = digits.analysed(Data(per_class=20), seed=0)
    assert np.bincount(digits.labels[few]).tolist() == [7] * 10
    assert set(few) < set(more)
    assert (np.diff(few) > 0).all()


def test_per_class_depends_on_the_seed(digits):
    first = digits.analysed(Data(per_class=7), seed=0)
    second = digits.analysed(Data(per_class=7), seed=1)
    assert set(first) != set(second)


def test_per_class_takes_learned_and_held_out_images_alike(digits):
    chosen = digits.analysed(Data(per_class=60), seed=0)
    assert 0.1 < digits.test[chosen].mean() < 0.3


def test_which_image_is_chosen_does_not_depend_on_the_order_of_the_others(digits):
    order = np.random.default_rng(0).permutation(1797)
    first = rank_in_class(np.arange(1797), digits.labels, 5)
    assert np.array_equal(rank_in_class(order, digits.labels[order], 5), first[order])


def test_skipped_images_are_replaced_by_the_next_of_their_class(digits):
    before = digits.analysed(Data(per_class=7), seed=0)
    skipped = frozenset(before[:2].tolist())
    after = digits.analysed(Data(per_class=7), 0, skipped)
    assert set(before[2:]) < set(after)
    assert np.bincount(digits.labels[after]).tolist() == [7] * 10
    assert not skipped & set(after)
    assert not skipped & set(digits.training(skipped=skipped))


def test_training_images_per_class_are_balanced_nested_learned_from_and_chosen_apart(digits):
    few = digits.training(per_class=7)
    more = digits.training(per_class=20)
    assert np.bincount(digits.labels[few]).tolist() == [7] * 10
    assert set(few) < set(more) < set(digits.training())
    assert (np.diff(few) > 0).all()
    assert set(few) != set(digits.training(per_class=7, seed=1))
    assert set(few) != set(digits.analysed(Data(per_class=7, analyse="train"), seed=0))


def test_images_without_a_factor_are_left_out_when_asked(digits):
    known = np.where(np.arange(1797) < 4, np.nan, 1.0)
    images = replace(digits, factors={"age": known, "size": np.roll(known, 2)})
    assert len(images.analysed(Data(), seed=0)) == 1797
    ids = images.analysed(Data(on_missing_factor="skip"), seed=0)
    assert ids.tolist() == list(range(6, 1797))


def test_nothing_left_to_analyse():
    images = Images(lambda index: None, np.zeros(3, np.int64), np.zeros(3, bool), ["a"])
    with pytest.raises(InputError, match=r"data\.analyse: test leaves no image"):
        images.analysed(Data(analyse="test"), seed=0)


# --- image folders ---


def test_a_folder_per_class(tmp_path):
    for name in ("cat", "dog", "test"):
        save_images(tmp_path / name)
    images = datasets.load(Data(source="folder", root=str(tmp_path)), seed=0)
    assert images.classes == ["cat", "dog", "test"]
    assert images.labels.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert [images.test[images.labels == label].sum() for label in range(3)] == [1, 1, 1]
    assert images.read(7).getpixel((0, 0)) == 2


def test_folders_for_training_and_validation(tmp_path):
    for name in ("cat", "dog"):
        save_images(tmp_path / "train" / name, 4)
        save_images(tmp_path / "val" / name, 2)
    images = datasets.load(Data(source="folder", root=str(tmp_path)), seed=0)
    assert images.classes == ["cat", "dog"]
    assert images.labels.tolist() == [0] * 4 + [1] * 4 + [0] * 2 + [1] * 2
    assert images.test.tolist() == [False] * 8 + [True] * 4
    assert images.read(9).getpixel((0, 0)) == 1


def test_validation_images_alone(tmp_path):
    for name in ("cat", "dog"):
        save_images(tmp_path / "val" / name)
    images = datasets.load(Data(source="folder", root=str(tmp_path)), seed=0)
    assert images.classes == ["cat", "dog"]


def test_different_classes_in_training_and_validation(tmp_path):
    save_images(tmp_path / "train" / "cat")
    save_images(tmp_path / "val" / "dog")
    with pytest.raises(InputError, match="hold different classes"):
        datasets.load(Data(source="folder", root=str(tmp_path)), seed=0)


def test_folders_without_images(tmp_path):
    data = Data(source="folder", root=str(tmp_path))
    with pytest.raises(InputError, match=rf"data\.root: .*expected {tmp_path}/<class>/<image>"):
        datasets.load(data, seed=0)
    (tmp_path / "cat").mkdir()
    with pytest.raises(InputError, match=r"data\.root: .*cat"):
        datasets.load(data, seed=0)


def test_missing_folder(tmp_path):
    with pytest.raises(InputError, match=rf"data\.root: {tmp_path}/nowhere is not a folder"):
        datasets.load(Data(source="folder", root=str(tmp_path / "nowhere")), seed=0)
    with pytest.raises(InputError, match=r"data\.root is missing"):
        datasets.load(Data(source="folder"), seed=0)


@pytest.mark.parametrize(
    "damage", [lambda content: b"no image", lambda content: content[:45]], ids=["garbage", "cut"]
)
def test_unreadable_image_is_named(tmp_path, damage):
    save_images(tmp_path / "cat")
    path = tmp_path / "cat" / "3.png"
    path.write_bytes(damage(path.read_bytes()))
    images = datasets.load(Data(source="folder", root=str(tmp_path)), seed=0)
    assert images.read(2)
    with pytest.raises(
        InputError, match=rf"cannot read the image {path} .*data\.on_bad_image: skip"
    ):
        images.read(3)


# --- torchvision ---


def test_torchvision_data_set_on_disk(tmp_path):
    save_mnist(tmp_path, [3, 1, 4, 1, 5], "train")
    save_mnist(tmp_path, [9, 2], "t10k")
    images = datasets.load(Data(source="MNIST", root=str(tmp_path)), seed=0)
    assert images.labels.tolist() == [3, 1, 4, 1, 5, 9, 2]
    assert images.test.tolist() == [False] * 5 + [True] * 2
    assert len(images.classes) == 10
    assert [images.read(index).getpixel((0, 0)) for index in range(7)] == [3, 1, 4, 1, 5, 9, 2]


def test_torchvision_data_set_not_on_disk(tmp_path):
    with pytest.raises(InputError, match=rf"CIFAR10 is not under data\.root {tmp_path}"):
        datasets.load(Data(source="CIFAR10", root=str(tmp_path)), seed=0)


def test_torchvision_data_set_that_needs_more_than_a_folder(tmp_path):
    with pytest.raises(
        InputError,
        match=r"CocoDetection cannot be made from data\.root alone.*package\.module:function",
    ):
        datasets.load(Data(source="CocoDetection", root=str(tmp_path)), seed=0)


@pytest.mark.parametrize(
    "wrong, right", [("CIFAR", "CIFAR10"), ("digit", "digits"), ("folders", "folder")]
)
def test_unknown_source_names_the_nearest(wrong, right):
    with pytest.raises(InputError, match=f"'{wrong}' is not a data set; did you mean .*'{right}'"):
        datasets.load(Data(source=wrong), seed=0)


# --- the user's own ---


def test_target_gives_data_sets_of_torch(tmp_path, monkeypatch):
    text = """
from torchvision.datasets import FakeData

def pair():
    return FakeData(6, (3, 4, 4), 3), FakeData(2, (3, 4, 4), 3, random_offset=100)

def one():
    return FakeData(10, (3, 4, 4), 1)
"""
    save_module(tmp_path, monkeypatch, "fake_sets", text)
    import fake_sets

    pair = datasets.load(Data(source="fake_sets:pair"), seed=0)
    expected = [item for dataset in fake_sets.pair() for item in dataset]
    assert pair.labels.tolist() == [label for _, label in expected]
    assert pair.test.tolist() == [False] * 6 + [True] * 2
    for index, (image, _) in enumerate(expected):
        assert np.array_equal(np.asarray(pair.read(index)), np.asarray(image))
    assert datasets.load(Data(source="fake_sets:one"), seed=0).test.sum() == 2


def test_target_that_is_not_there(tmp_path, monkeypatch):
    save_module(tmp_path, monkeypatch, "own_set", "def dataset(): ...")
    with pytest.raises(
        InputError,
        match=r"data\.source: 'own_set' has no function 'datset'; did you mean 'dataset'",
    ):
        datasets.load(Data(source="own_set:datset"), seed=0)
    with pytest.raises(InputError, match=r"data\.source: cannot import 'no_such_module'"):
        datasets.load(Data(source="no_such_module:dataset"), seed=0)


@pytest.mark.parametrize("label", [2, -1])
def test_label_out_of_range(tmp_path, monkeypatch, label):
    text = f"""
import torch
from torch.utils.data import TensorDataset

def dataset():
    made = TensorDataset(torch.zeros(3, 3, 4, 4))
    made.targets, made.classes = [0, 1, {label}], ["cat", "dog"]
    return made
"""
    name = f"labels_{label % 10}"
    save_module(tmp_path, monkeypatch, name, text)
    with pytest.raises(InputError, match=rf"image 2 has label {label}, outside 0\.\.1"):
        datasets.load(Data(source=f"{name}:dataset"), seed=0)
