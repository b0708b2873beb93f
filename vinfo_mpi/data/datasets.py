"""Where labelled images come from: our own sources, folders, torchvision, functions of users."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from functools import partial
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import torchvision
from PIL import Image
from torchvision.datasets import ImageFolder

from vinfo_mpi.config.schema import Data, Planted
from vinfo_mpi.data import planted
from vinfo_mpi.data.images import Images, held_out
from vinfo_mpi.errors import InputError, choices


def load(data: Data, seed: int) -> Images:
    """Return the images that the configuration names.

    Raises
    ------
    InputError
        If there is no such source, nothing is found on disk, or labels are out of range.
    """
    if data.source in SOURCES:
        images = SOURCES[data.source](data, seed)
    elif ":" in data.source:
        images = _from_target(data, seed)
    else:
        images = _from_torchvision(data, seed)
    outside = np.flatnonzero((images.labels < 0) | (images.labels >= len(images.classes)))
    if len(outside):
        first = outside[0]
        raise InputError(
            f"data.source {data.source}: image {first} has label {images.labels[first]}, "
            f"outside 0..{len(images.classes) - 1}; number the classes from 0 without gaps"
        )
    for name, values in images.factors.items():
        if np.shape(values) != images.labels.shape:
            raise InputError(
                f"data.source {data.source}: the factor '{name}' has shape {np.shape(values)}, "
                f"but there are {len(images.labels)} images; give one number for each"
            )
    return images


def call_target(target: str, setting: str) -> Any:
    """Call the function that ``package.module:function`` names and return what it returns."""
    module_name, _, name = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InputError(
            f"{setting}: cannot import '{module_name}' ({error}); is it on PYTHONPATH?"
        ) from None
    function = getattr(module, name, None)
    if not callable(function):
        raise InputError(
            f"{setting}: '{module_name}' has no function '{name}'; {choices(name, vars(module))}"
        )
    return function()


def _digits(data: Data, seed: int) -> Images:
    # The table itself, a row per scan, 64 pixels from 0 to 16 and the digit: importing scikit-learn
    # would take a second.
    path = distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
    table = np.loadtxt(str(path), delimiter=",")
    scans = np.round(table[:, :64].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    labels = table[:, 64].astype(np.int64)
    return Images(
        partial(_read_scan, scans),
        labels,
        held_out(labels, data.test_share, seed),
        [str(digit) for digit in range(10)],
    )


def _read_scan(scans: np.ndarray, index: int) -> Image.Image:
    return Image.fromarray(scans[index])


def _planted(data: Data, seed: int) -> Images:
    labels, factors = planted.design(data.planted, seed)
    read = partial(_read_planted, data.planted, seed, factors)
    return Images(read, labels, held_out(labels, data.test_share, seed), planted.CLASSES, factors)


def _read_planted(
    options: Planted, seed: int, factors: dict[str, np.ndarray], index: int
) -> Image.Image:
    return Image.fromarray(planted.draw(options, seed, factors, index))


def _folder(data: Data, seed: int) -> Images:
    if data.root is None:
        raise InputError(
            "data.source is folder, but data.root is missing; set it to the folder of the images"
        )
    root = Path(data.root).expanduser()
    if not root.is_dir():
        raise InputError(
            f"data.root: {root} is not a folder; set it to the folder that holds a folder per class"
        )
    splits = _splits(root)
    try:
        folders = [ImageFolder(str(split)) for split in splits]
    except FileNotFoundError as error:
        raise InputError(
            f"data.root: {' '.join(str(error).split())}; expected {root}/<class>/<image>"
        ) from None
    if len({tuple(folder.classes) for folder in folders}) > 1:
        raise InputError(
            f"data.root: {splits[0]} and {splits[1]} hold different classes; make them the same"
        )
    paths = [path for folder in folders for path, _ in folder.samples]
    labels = np.array([label for folder in folders for _, label in folder.samples], np.int64)
    if len(folders) == 1:
        test = held_out(labels, data.test_share, seed)
    else:
        test = np.arange(len(paths)) >= len(folders[0].samples)
    return Images(partial(_read_file, paths), labels, test, folders[0].classes)


def _splits(root: Path) -> list[Path]:
    """Return the folders of training and test images, or the one that holds all.

    A folder per split, as in ImageNet; a class that happens to be called test holds images, not
    folders.
    """
    splits = [root / name for name in ("train", "val", "test") if any((root / name).glob("*/"))]
    if splits[:1] == [root / "train"]:
        return splits[:2]
    return splits[:1] or [root]


def _read_file(paths: list[str], index: int) -> Image.Image:
    try:
        with Image.open(paths[index]) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(
            f"cannot read the image {paths[index]} ({error}); mend it, "
            "or set data.on_bad_image: skip"
        ) from None


def _from_torchvision(data: Data, seed: int) -> Images:
    available = torchvision.datasets.__all__
    if data.source not in available:
        known = [*SOURCES, *available, "package.module:function"]
        raise InputError(
            f"data.source: '{data.source}' is no data set; {choices(data.source, known)}"
        )
    make = getattr(torchvision.datasets, data.source)
    parameters = inspect.signature(make).parameters
    options: list[dict[str, Any]] = [{}]
    if "train" in parameters:
        options = [{"train": True}, {"train": False}]
    elif "split" in parameters:
        options = [{"split": "train"}, {"split": "val" if data.source == "ImageNet" else "test"}]
    try:
        root = str(Path(data.root or "data").expanduser())
        datasets = [make(root=root, **option) for option in options]
    except (RuntimeError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"data.source: {data.source} is not under data.root {data.root or 'data'} ({reason}); "
            "put it there, or set data.root"
        ) from None
    except TypeError as error:
        raise InputError(
            f"data.source: {data.source} cannot be made from data.root alone ({error}); "
            "write a function that returns it and name that as package.module:function"
        ) from None
    return _join(datasets, data, seed)


def _from_target(data: Data, seed: int) -> Images:
    made = call_target(data.source, "data.source")
    if isinstance(made, Images):
        return made
    return _join(list(made) if isinstance(made, (tuple, list)) else [made], data, seed)


def _join(datasets: list[Any], data: Data, seed: int) -> Images:
    """Return one set of images from data sets of torch's kind.

    A training and a test set, or one that is to be divided.
    """
    labels = np.concatenate([_labels_of(dataset) for dataset in datasets])
    ends = np.cumsum([len(dataset) for dataset in datasets])
    if len(datasets) == 1:
        test = held_out(labels, data.test_share, seed)
    else:
        test = np.arange(len(labels)) >= ends[0]
    classes = getattr(datasets[0], "classes", None)
    if not classes:
        classes = range(int(labels.max(initial=-1)) + 1)
    names = [" ".join(name) if isinstance(name, tuple) else str(name) for name in classes]
    return Images(partial(_read_item, datasets, ends, data.source), labels, test, names)


def _read_item(datasets: list[Any], ends: np.ndarray, source: str, index: int) -> Any:
    number = int(np.searchsorted(ends, index, side="right"))
    start = ends[number - 1] if number else 0
    try:
        return datasets[number][int(index - start)][0]
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(
            f"cannot read image {index} of {source} ({error}); mend it, "
            "or set data.on_bad_image: skip"
        ) from None


def _labels_of(dataset: Any) -> np.ndarray:
    for name in ("targets", "labels", "_labels"):
        if hasattr(dataset, name):
            return np.asarray(getattr(dataset, name), np.int64)
    labels = []
    for index in range(len(dataset)):
        _, label = dataset[index]
        labels.append(label)
    return np.array(labels, np.int64)


SOURCES: dict[str, Callable[[Data, int], Images]] = {
    "digits": _digits,
    "planted": _planted,
    "folder": _folder,
}
