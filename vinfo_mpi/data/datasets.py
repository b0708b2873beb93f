"""Sources of labelled images: built in, folders, torchvision, functions of users."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import torchvision
from PIL import Image

from vinfo_mpi.config.schema import Data, Planted
from vinfo_mpi.data import (
    arrow_sets,
    folders,
    imported,
    items,
    listed,
    planted,
    shards,
    survey,
    torchvision_sets,
)
from vinfo_mpi.data.images import Images, held_out
from vinfo_mpi.data.labels import as_factors, as_labels
from vinfo_mpi.data.pixels import as_image
from vinfo_mpi.data.targets import call_target
from vinfo_mpi.errors import InputError, choices, in_one_line
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.storage.activations import UNLABELLED


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
    elif data.source in torchvision.datasets.__all__:
        images = _join(torchvision_sets.load(data), data, seed)
    else:
        known = [*SOURCES, *torchvision.datasets.__all__, "package.module:function"]
        raise InputError(
            f"data.source: '{data.source}' is not a data set; {choices(data.source, known)}"
        )
    if data.table is not None and data.source != "table":
        images = listed.described(images, data)
    _check_labels(images, data.source)
    return replace(
        images,
        read=partial(_read, images.read, images.names, data),
        factors=as_factors(images.factors, len(images.labels), data.source),
    )


def _check_labels(images: Images, source: str) -> None:
    """Raise `InputError` for labels that are no classes; say where they seem to be counted from 1.

    The sentence names the first.
    """
    labels = images.labels
    classes = len(images.classes)
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(outside):
        first = outside[0]
        remedy = "number the classes from 0 without gaps"
        if labels.min() == 1 and labels.max() == classes:
            remedy = "labels are counted from 1: subtract 1"
        raise InputError(
            f"data.source {source}: image {first} has label {labels[first]}, "
            f"outside 0..{classes - 1}; {remedy}"
        )
    if len(labels) and labels.min() == 1:
        log.info(
            "data: the labels of %s begin with 1, and class 0 has no image; "
            "if they are counted from 1, subtract 1",
            source,
        )


def _read(read: Callable[[int], Any], names: Sequence[str] | None, data: Data, index: int) -> Any:
    """Return an image as the loader takes it; whatever a data set raises becomes a sentence."""
    try:
        return as_image(read(index), data)
    except MemoryError:
        raise
    except Exception as error:
        image = f"image {index} of {data.source}" if names is None else f"the image {names[index]}"
        kind = "" if isinstance(error, (InputError, OSError)) else f"{type(error).__name__}: "
        raise InputError(
            f"cannot read {folders.shown(image)} ({kind}{in_one_line(error)}); fix it, "
            "or set data.on_bad_image: skip"
        ) from None


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


def crossed(data: Data, seed: int, factors: dict[str, np.ndarray]) -> Images:
    """Return planted images with these factors beside those of the configuration, all label 0."""
    read = partial(_read_planted, data.planted, seed, factors, stream=planted.CROSSED)
    labels = np.zeros(len(next(iter(factors.values()))), np.int64)
    return Images(read, labels, labels == 0, planted.CLASSES, factors)


def _read_planted(
    options: Planted,
    seed: int,
    factors: dict[str, np.ndarray],
    index: int,
    stream: int = planted.DESIGNED,
) -> Image.Image:
    return Image.fromarray(planted.draw(options, seed, factors, index, stream))


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
    training, test, beside = folders.parts(root)
    parts = [folders.read_part(part) for part in (training, test) if part is not None]
    classes = _classes(parts, data)
    for part in parts:
        _say(part, held_out=part is not parts[0])
    for folder in beside:
        log.info("data: %s is left out", folders.shown(folder))
    paths = []
    labels = []
    for part in parts:
        for label, name in enumerate(classes):
            paths += part.classes[name]
            labels += [label] * len(part.classes[name])
    numbers = np.array(labels, np.int64)
    if len(parts) == 1:
        is_test = held_out(numbers, data.test_share, seed)
    else:
        is_test = np.arange(len(paths)) >= parts[0].count
    names = [folders.shown(name) for name in classes]
    survey.say_what_files_hold(paths, data)
    return Images(partial(listed.read_file, paths), numbers, is_test, names, names=paths)


def _classes(parts: list[folders.Part], data: Data) -> list[str]:
    """Return the names of the classes, the same in all parts."""
    names = list(parts[0].classes)
    if any(list(part.classes) != names for part in parts):
        different = set(names) ^ set(parts[1].classes)
        raise InputError(
            f"data.root: {parts[0].folder} and {parts[1].folder} hold different classes "
            f"('{folders.shown(min(different))}'); make them the same"
        )
    empty = [part.folder / name for part in parts for name in names if not part.classes.get(name)]
    if not names or (empty and data.on_empty_class == "fail"):
        bare = folders.shown(empty[0] if names else parts[0].folder)
        raise InputError(
            f"data.root: {bare} holds no {'images' if names else 'class folders'}; expected "
            f"{folders.shown(parts[0].folder)}/<class>/<image> with one of the endings "
            f"{' '.join(folders.IMG_EXTENSIONS)}"
            + ("; delete it, or set data.on_empty_class: skip" if names else "")
        )
    for folder in empty:
        log.info("data: %s holds no images", folders.shown(folder))
    return [name for name in names if any(part.classes[name] for part in parts)]


def _say(part: folders.Part, held_out: bool) -> None:
    """Say what a folder is taken for, and what in it is left out."""
    log.info(
        "data: %s: %d images in %d class folders%s",
        folders.shown(part.folder),
        part.count,
        len(part.classes),
        ", held out" if held_out else "",
    )
    if part.left_out:
        listed = ", ".join(f"{count} {what}" for what, count in part.left_out.most_common(5))
        log.info("data: %s: left out: %s", folders.shown(part.folder), listed)


def _hugging_face(data: Data, seed: int) -> Images:
    return listed.assembled(arrow_sets.rows(data), data, seed)


def _shards(data: Data, seed: int) -> Images:
    return listed.assembled(shards.rows(data), data, seed)


def _from_target(data: Data, seed: int) -> Images:
    made = call_target(data.source, "data.source")
    if not isinstance(made, Images):
        made = _join(items.as_datasets(made, data.source), data, seed)
    survey.check_repeatable(made.read, len(made.labels), data.source)
    return made


def _join(datasets: list[Any], data: Data, seed: int) -> Images:
    """Return one set of images from data sets of torch's kind.

    A training and a test set, or one that is to be divided.
    """
    by_dataset = [items.labels_of(dataset, data.source) for dataset in datasets]
    ends = np.cumsum([len(dataset) for dataset in datasets])
    labels, names = _classes_of_items(by_dataset, int(ends[-1]), data.source)
    known = items.class_names(datasets[0])
    if names is None:
        names = known
    elif known is not None and set(names) <= set(known):
        labels = np.array([known.index(name) for name in names], np.int64)[labels]
        names = known
    if len(datasets) == 1:
        test = held_out(labels, data.test_share, seed)
    else:
        test = np.arange(len(labels)) >= ends[0]
    classes = names or [str(number) for number in range(int(labels.max(initial=-1)) + 1)]
    return Images(partial(_read_item, datasets, ends), labels, test, classes)


def _classes_of_items(
    by_dataset: list[Any], images: int, source: str
) -> tuple[np.ndarray, list[str] | None]:
    """Return the labels of all images, and the classes if labels name them, or there are none."""
    without = [labels is None for labels in by_dataset]
    if all(without):
        log.info("data: the images of %s have no labels", source)
        return np.zeros(images, np.int64), [UNLABELLED]
    if any(without):
        raise InputError(
            f"data.source {source}: only one of its data sets has labels; give both labels, or none"
        )
    return as_labels([label for labels in by_dataset for label in labels], source)


def _read_item(datasets: list[Any], ends: np.ndarray, index: int) -> Any:
    number = int(np.searchsorted(ends, index, side="right"))
    start = ends[number - 1] if number else 0
    return items.image_of(datasets[number][int(index - start)])


SOURCES: dict[str, Callable[[Data, int], Images]] = {
    "digits": _digits,
    "planted": _planted,
    "folder": _folder,
    "table": listed.images,
    "huggingface": _hugging_face,
    "webdataset": _shards,
    "imported": imported.images,
}
