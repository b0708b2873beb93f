"""Labelled images with stable ids, wherever they come from."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
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
from vinfo_mpi.errors import InputError, choices
from vinfo_mpi.numerics.hashing import hashed

SUBSET = 1_000_003  # added to the seed: per_class chooses by another order than the division into training and test


@dataclass(frozen=True)
class Images:
    """Images that are read one by one, by id.

    Attributes
    ----------
    read : function of an id
        Returns a PIL image or a (C, H, W) tensor; raises `InputError` where it cannot be read. With machine.workers it
        travels to other processes: a function of a module or a `functools.partial` of one, no lambda.
    labels : (N,) int64 array
        Class of every id.
    test : (N,) bool array
        Whether the image is held out from training.
    classes : list of str
        Names of the classes.
    factors : dict of str to (N,) float64 array
        What is known of every id beside its class, such as attributes of faces: each can be scored as a concept.
    """

    read: Callable[[int], Any]
    labels: np.ndarray
    test: np.ndarray
    classes: list[str]
    factors: dict[str, np.ndarray] = field(default_factory=dict)

    def analysed(self, data: Data, seed: int, skipped: frozenset[int] = frozenset()) -> np.ndarray:
        """Return the ids that are analysed, ascending; at most `data.per_class` of each class, chosen by hash."""
        wanted = {"all": np.ones_like(self.test), "train": ~self.test, "test": self.test}[data.analyse]
        ids = np.flatnonzero(wanted)
        ids = ids[~np.isin(ids, list(skipped))]
        if data.per_class is not None:
            ids = np.sort(ids[_rank_in_class(ids, self.labels[ids], seed + SUBSET) < data.per_class])
        if not len(ids):
            raise InputError(f"data.analyse: {data.analyse} leaves no image; choose another of train, test, all")
        return ids

    def training(self, skipped: frozenset[int] = frozenset()) -> np.ndarray:
        """Return the ids that are learned from, ascending."""
        ids = np.flatnonzero(~self.test)
        return ids[~np.isin(ids, list(skipped))]


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
                f"data.source {data.source}: the factor '{name}' has shape {np.shape(values)}, but there are "
                f"{len(images.labels)} images; give one number for each"
            )
    return images


def call_target(target: str, setting: str) -> Any:
    """Call the function that ``package.module:function`` names and return what it returns."""
    module_name, _, name = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InputError(f"{setting}: cannot import '{module_name}' ({error}); is it on PYTHONPATH?") from None
    function = getattr(module, name, None)
    if not callable(function):
        raise InputError(f"{setting}: '{module_name}' has no function '{name}'; {choices(name, vars(module))}")
    return function()


def _digits(data: Data, seed: int) -> Images:
    # The table itself: importing scikit-learn would take a second.
    path = distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
    table = np.loadtxt(str(path), delimiter=",")  # a row per scan: 64 pixels from 0 to 16, and the digit
    scans = np.round(table[:, :64].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    labels = table[:, 64].astype(np.int64)
    return Images(partial(_read_scan, scans), labels, _held_out(labels, data.test_share, seed), [str(digit) for digit in range(10)])


def _read_scan(scans: np.ndarray, index: int) -> Image.Image:
    return Image.fromarray(scans[index])


def _planted(data: Data, seed: int) -> Images:
    labels, factors = planted.design(data.planted, seed)
    read = partial(_read_planted, data.planted, seed, factors)
    return Images(read, labels, _held_out(labels, data.test_share, seed), planted.CLASSES, factors)


def _read_planted(options: Planted, seed: int, factors: dict[str, np.ndarray], index: int) -> Image.Image:
    return Image.fromarray(planted.draw(options, seed, factors, index))


def _folder(data: Data, seed: int) -> Images:
    if data.root is None:
        raise InputError("data.source is folder, but data.root is missing; set it to the folder of the images")
    root = Path(data.root).expanduser()
    if not root.is_dir():
        raise InputError(f"data.root: {root} is not a folder; set it to the folder that holds a folder per class")
    # A folder per split, as in ImageNet; a class that happens to be called test holds images, not folders.
    splits = [root / name for name in ("train", "val", "test") if any((root / name).glob("*/"))]
    splits = splits[:2] if splits[:1] == [root / "train"] else splits[:1] or [root]
    try:
        folders = [ImageFolder(str(split)) for split in splits]
    except FileNotFoundError as error:
        raise InputError(f"data.root: {' '.join(str(error).split())}; expected {root}/<class>/<image>") from None
    if len({tuple(folder.classes) for folder in folders}) > 1:
        raise InputError(f"data.root: {splits[0]} and {splits[1]} hold different classes; make them the same")
    paths = [path for folder in folders for path, _ in folder.samples]
    labels = np.array([label for folder in folders for _, label in folder.samples], np.int64)
    test = _held_out(labels, data.test_share, seed) if len(folders) == 1 else np.arange(len(paths)) >= len(folders[0].samples)
    return Images(partial(_read_file, paths), labels, test, folders[0].classes)


def _read_file(paths: list[str], index: int) -> Image.Image:
    try:
        with Image.open(paths[index]) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"cannot read the image {paths[index]} ({error}); mend it, or set data.on_bad_image: skip") from None


def _from_torchvision(data: Data, seed: int) -> Images:
    available = torchvision.datasets.__all__
    if data.source not in available:
        known = [*SOURCES, *available, "package.module:function"]
        raise InputError(f"data.source: '{data.source}' is no data set; {choices(data.source, known)}")
    make = getattr(torchvision.datasets, data.source)
    parameters = inspect.signature(make).parameters
    options: list[dict[str, Any]] = [{}]
    if "train" in parameters:
        options = [{"train": True}, {"train": False}]
    elif "split" in parameters:
        options = [{"split": "train"}, {"split": "val" if data.source == "ImageNet" else "test"}]
    try:
        parts = [make(root=str(Path(data.root or "data").expanduser()), **option) for option in options]
    except (RuntimeError, OSError, ValueError) as error:
        raise InputError(
            f"data.source: {data.source} is not under data.root {data.root or 'data'} ({' '.join(str(error).split())}); "
            "put it there, or set data.root"
        ) from None
    except TypeError as error:
        raise InputError(
            f"data.source: {data.source} cannot be made from data.root alone ({error}); "
            "write a function that returns it and name that as package.module:function"
        ) from None
    return _join(parts, data, seed)


def _from_target(data: Data, seed: int) -> Images:
    made = call_target(data.source, "data.source")
    return made if isinstance(made, Images) else _join(list(made) if isinstance(made, (tuple, list)) else [made], data, seed)


def _join(parts: list[Any], data: Data, seed: int) -> Images:
    """Return one set of images from a training and a test data set of torch's kind, or from one to be divided."""
    labels = np.concatenate([_labels_of(part) for part in parts])
    ends = np.cumsum([len(part) for part in parts])
    test = np.arange(len(labels)) >= ends[0] if len(parts) > 1 else _held_out(labels, data.test_share, seed)
    classes = getattr(parts[0], "classes", None) or [str(label) for label in range(int(labels.max(initial=-1)) + 1)]
    names = [" ".join(name) if isinstance(name, tuple) else str(name) for name in classes]
    return Images(partial(_read_part, parts, ends, data.source), labels, test, names)


def _read_part(parts: list[Any], ends: np.ndarray, source: str, index: int) -> Any:
    part = int(np.searchsorted(ends, index, side="right"))
    try:
        return parts[part][int(index - (ends[part - 1] if part else 0))][0]
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"cannot read image {index} of {source} ({error}); mend it, or set data.on_bad_image: skip") from None


def _labels_of(part: Any) -> np.ndarray:
    for name in ("targets", "labels", "_labels"):
        if hasattr(part, name):
            return np.asarray(getattr(part, name), np.int64)
    return np.array([label for _, label in _items(part)], np.int64)


def _items(part: Any) -> Iterator[Any]:
    return (part[index] for index in range(len(part)))


def _rank_in_class(ids: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """Return the place of every id in the order of hashes within its class: (n,) int64."""
    order = np.lexsort((ids, hashed(ids, seed), labels))
    sorted_labels = labels[order]
    starts = np.searchsorted(sorted_labels, sorted_labels, side="left")
    place = np.empty(len(ids), np.int64)
    place[order] = np.arange(len(ids)) - starts
    return place


def _held_out(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Return which images are held out where the source has no split: the same share of every class."""
    ids = np.arange(len(labels))
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return _rank_in_class(ids, labels, seed) < np.round(share * counts)[place]


SOURCES: dict[str, Callable[[Data, int], Images]] = {"digits": _digits, "planted": _planted, "folder": _folder}
