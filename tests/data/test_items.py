"""Data sets and functions as people write them give the right images and labels, or a sentence."""

from types import MappingProxyType

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from vinfo_mpi.config.schema import Data
from vinfo_mpi.data import datasets, items, targets, torchvision_sets
from vinfo_mpi.errors import InputError
from vinfo_mpi.storage.activations import UNLABELLED

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
LABELS = [2, 0, 1, 1, 0, 2]
TENSORS = torch.from_numpy(PIXELS).permute(0, 3, 1, 2)
PAIRS = [*zip(map(Image.fromarray, PIXELS), LABELS, strict=True)]


PIL_ALONE = [image for image, _ in PAIRS]


class Own(Dataset):
    """A data set whose items are what a function makes of (image, label)."""

    def __init__(self, item, **attributes):
        self.item = item
        self.__dict__ |= attributes

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return self.item(*PAIRS[index])


class Columns(Own):
    """The form of Hugging Face's data sets."""

    column_names = ("img", "label")
    features = MappingProxyType(
        {"label": type("ClassLabel", (), {"names": ["ant", "cat", "dog"]})()}
    )

    def __getitem__(self, index):
        return LABELS if index == "label" else {"img": PAIRS[index][0], "label": LABELS[index]}


def own(**keys):
    return Own(lambda image, label: {name: (image, label)[part] for name, part in keys.items()})


def load(made, monkeypatch, source="made_here:function"):
    module = type("module", (), {"function": staticmethod(lambda: made)})
    monkeypatch.setattr(targets.importlib, "import_module", lambda name: module)
    return datasets.load(Data(source=source), seed=0)


@pytest.mark.parametrize(
    "made",
    [
        Own(lambda image, label: (image, label)),
        Own(lambda image, label: [image, label]),
        Own(lambda image, label: (image, torch.tensor(label))),
        Own(lambda image, label: (image, np.eye(3)[label])),
        Own(lambda image, label: (image, float(label))),
        Own(lambda image, label: (image, "abc"[label]), classes=["a", "b", "c"]),
        Own(lambda image, label: (image, "acb"[label]), classes=["a", "c", "b"]),
        Own(lambda image, label: (image, label, "cat.png")),
        Own(lambda image, label: (image, None), targets=torch.tensor(LABELS)),
        Own(lambda image, label: (image, label), labels=["names", "of", "classes", "alone"]),
        Own(lambda image, label: (image, None), samples=[(None, label) for label in LABELS]),
        own(image=0, label=1),
        own(Image=0, y=1),
        Columns(None),
        {"test": Columns(None), "train": Columns(None)},
        PAIRS,
        (PAIRS[:4], PAIRS[4:]),
        TensorDataset(TENSORS, torch.tensor(LABELS)),
        TensorDataset(TENSORS, torch.tensor(LABELS)[:, None].float()),
        Subset(Own(lambda image, label: (image, label)), range(6)),
    ],
)
def test_images_and_labels_of_every_kind_of_data_set(made, monkeypatch):
    images = load(made, monkeypatch)
    assert images.labels[:6].tolist() == LABELS
    assert len(images.classes) == 3
    for index in range(6):
        pixels = images.read(index)
        if isinstance(pixels, torch.Tensor):
            pixels = pixels.permute(1, 2, 0)
        assert np.array_equal(np.asarray(pixels), PIXELS[index])


@pytest.mark.parametrize("made", [PIL_ALONE, own(image=0), Own(lambda image, label: (image,))])
def test_images_alone_are_one_class_without_a_name(made, monkeypatch):
    images = load(made, monkeypatch)
    assert images.labels.tolist() == [0] * 6
    assert images.classes == [UNLABELLED]
    assert np.array_equal(np.asarray(images.read(4)), PIXELS[4])


class Endless(IterableDataset):
    def __iter__(self):
        yield from PAIRS


def needs(root):
    return PAIRS


@pytest.mark.parametrize(
    "made, sentence",
    [
        (None, "returns nothing"),
        (DataLoader(Own(None)), "returns a DataLoader; return its data set"),
        (Endless(), "returns a Endless; return a data set with numbered items"),
        (7, "returns a int"),
        ((), "returns no images"),
        (Subset(Own(None), []), "returns no images"),
        ((PAIRS, PIL_ALONE), "only one of its data sets has labels"),
        (own(image=0, label=1, target=1), "label and target mean the same"),
        (Own(lambda image, label: (image, label / 4)), r"image 0 has label 0\.5"),
        (Own(lambda image, label: (image, label + 1), classes=["a", "b", "c"]), "subtract 1"),
        (Own(lambda image, label: 1 / 0), r"its item 0 cannot be read \(ZeroDivisionError"),
    ],
)
def test_what_is_no_data_set_is_refused_in_a_sentence(made, sentence, monkeypatch):
    with pytest.raises(InputError, match=sentence):
        load(made, monkeypatch)


@pytest.mark.parametrize(
    "item, sentence",
    [
        (lambda image, label: 1 / 0, r"\(ZeroDivisionError: division by zero\)"),
        (lambda image, label: torch.zeros(2).reshape(3), r"\(RuntimeError: shape"),
        (lambda image, label: None, r"\(it is None; expected a PIL image"),
        (lambda image, label: {"pixels": image}, "its keys are pixels"),
    ],
)
def test_an_item_that_cannot_be_read_is_named(item, sentence, monkeypatch):
    images = load(Own(item, targets=LABELS), monkeypatch)
    with pytest.raises(InputError, match=rf"image 3 of made_here:function .*{sentence}.*bad_image"):
        images.read(3)


def test_labels_from_one_are_said_where_the_classes_have_no_names(monkeypatch, caplog):
    monkeypatch.setattr(datasets.log, "propagate", True)
    caplog.set_level("INFO", "vinfo_mpi")
    images = load(Own(lambda image, label: (image, label + 1)), monkeypatch)
    assert images.labels.min() == 1
    assert "begin with 1" in caplog.text


def test_a_function_that_needs_arguments(monkeypatch):
    module = type("module", (), {"function": staticmethod(needs)})
    monkeypatch.setattr(targets.importlib, "import_module", lambda name: module)
    with pytest.raises(InputError, match=r"cannot be called without arguments .*'root'"):
        targets.call_target("made_here:function", "data.source")


# --- torchvision ---

CLASSIFICATION = [
    "CIFAR10", "CIFAR100", "CLEVRClassification", "Caltech256", "Country211", "DTD", "EMNIST",
    "EuroSAT", "FER2013", "FGVCAircraft", "FashionMNIST", "Flowers102", "Food101", "GTSRB",
    "ImageNet", "Imagenette", "KMNIST", "MNIST", "Omniglot", "OxfordIIITPet", "PCAM", "Places365",
    "QMNIST", "RenderedSST2", "SEMEION", "STL10", "SUN397", "SVHN", "StanfordCars", "USPS",
]  # fmt: skip


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_torchvision_knows_the_parts_that_are_asked_for(name, tmp_path):
    """The data set says that it is not there, and not that it has no such part."""
    with pytest.raises(InputError) as refusal:
        torchvision_sets.load(Data(source=name, root=str(tmp_path)))
    assert "is not under data.root" in str(refusal.value)
    assert "Unknown value" not in str(refusal.value)


def test_the_held_out_part_of_imagenette_is_called_val(tmp_path):
    for part in ("train", "val"):
        for number, name in enumerate(torchvision.datasets.Imagenette._WNID_TO_CLASS):
            folder = tmp_path / "imagenette2-160" / part / name
            folder.mkdir(parents=True)
            Image.new("RGB", (4, 4), (number, 0, 0)).save(folder / "0.JPEG", "PNG")
    options = {"size": "160px"}
    images = datasets.load(Data(source="Imagenette", root=str(tmp_path), options=options), seed=0)
    assert images.labels.tolist() == 2 * [*range(10)]
    assert images.test.tolist() == [False] * 10 + [True] * 10
    assert images.classes[0] == "tench Tinca tinca"
    assert images.read(13).getpixel((0, 0)) == (3, 0, 0)


def test_options_that_a_data_set_does_not_take(tmp_path):
    with pytest.raises(InputError, match=r"cannot be made .*data\.options"):
        torchvision_sets.load(Data(source="MNIST", root=str(tmp_path), options={"size": 3}))


@pytest.mark.parametrize("names", [["a", "b"], [("tench", "Tinca tinca")], None, []])
def test_class_names(names):
    expected = {2: ["a", "b"], 1: ["tench Tinca tinca"], 0: None}[len(names or [])]
    assert items.class_names(Own(None, classes=names)) == expected
