"""Data sets of torch's kind, and of Hugging Face's: their items taken apart, their labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset

from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel.logs import log

IMAGE_KEYS = ("image", "img", "images", "picture", "pixel_values", "x", "input", "inputs")
LABEL_KEYS = ("label", "labels", "target", "targets", "y", "class", "class_id", "class_label")
LABEL_ATTRIBUTES = ("targets", "labels", "_labels", "y")
PAIR_ATTRIBUTES = ("samples", "_samples", "imgs")  # (image, label) each
NAMES_OF_PARTS = ("train", "training", "valid", "val", "validation", "test", "testing")


def as_datasets(made: Any, source: str) -> list[Any]:
    """Return the data sets that a function has returned: of training, of test, or one of all.

    Raises
    ------
    InputError
        For anything but a data set with numbered items.
    """
    if isinstance(made, Mapping) and all(name in NAMES_OF_PARTS for name in made):
        made = [made[name] for name in NAMES_OF_PARTS if name in made]
    several = isinstance(made, (tuple, list)) and not (made and _is_item(made[0]))
    datasets = list(made) if several else [made]
    where = f"data.source: {source} returns "
    for dataset in datasets:
        kind = type(dataset).__name__
        if isinstance(dataset, DataLoader):
            raise InputError(f"{where}a {kind}; return its data set, without batches")
        if isinstance(dataset, IterableDataset) or not (
            hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")
        ):
            raise InputError(
                f"{where}{'nothing' if dataset is None else f'a {kind}'}; return a data set with "
                "numbered items and a length, or two: of training and of test, or Images"
            )
    if not datasets or not sum(map(len, datasets)):
        raise InputError(f"{where}no images; is the path right?")
    return datasets


def image_of(item: Any) -> Any:
    """Return the image of an item: its first part, or what a key like 'image' names."""
    if isinstance(item, Mapping):
        key = _key(item, IMAGE_KEYS)
        if key is None:
            raise InputError(
                f"its keys are {', '.join(map(str, item))}; the image should be called 'image'"
            )
        return item[key]
    return item[0] if isinstance(item, (tuple, list)) else item


def key_of_image(columns: Mapping[Any, Any]) -> Any:
    """Return which of these columns holds the images, None if there is none."""
    return _key(columns, IMAGE_KEYS)


def key_of_label(columns: Mapping[Any, Any]) -> Any:
    """Return which of these columns holds the labels, None if there is none."""
    return _key(columns, LABEL_KEYS)


def labels_of(dataset: Any, source: str) -> Any:
    """Return the labels of a data set, None where it has none; items are read if nothing else has.

    Raises
    ------
    InputError
        Where items have no part that is clearly the label.
    """
    count = len(dataset)
    columns = getattr(dataset, "column_names", None)
    if columns:
        key = _key(dict.fromkeys(columns), LABEL_KEYS)
        return None if key is None else list(dataset[key])
    for name in LABEL_ATTRIBUTES:
        labels: Any = getattr(dataset, name, None)
        if np.ndim(labels) and len(labels) == count:
            return labels
    for name in PAIR_ATTRIBUTES:
        pairs = getattr(dataset, name, None)
        if isinstance(pairs, list) and len(pairs) == count and all(map(_is_pair, pairs)):
            return [label for _, label in pairs]
    if count and not _has_label(_item(dataset, 0, source)):
        return None
    labels = [_label_of(_item(dataset, index, source), index, source) for index in range(count)]
    return None if all(label is None for label in labels) else labels


def class_names(dataset: Any) -> list[str] | None:
    """Return the names of a data set's classes, None where it says none."""
    classes = getattr(dataset, "classes", None)
    features = getattr(dataset, "features", None)
    if classes is None and isinstance(features, Mapping):
        for key in LABEL_KEYS:
            classes = classes or getattr(features.get(key), "names", None)
    if classes is None or not len(classes):
        return None
    return [" ".join(name) if isinstance(name, tuple) else str(name) for name in classes]


def _item(dataset: Any, index: int, source: str) -> Any:
    """Return an item that is read for its label."""
    try:
        return dataset[index]
    except Exception as error:
        raise InputError(
            f"data.source: {source} has no attribute 'targets' with all labels, and its item "
            f"{index} cannot be read ({type(error).__name__}: {error}); add the attribute, or fix "
            "the item"
        ) from error


def _has_label(item: Any) -> bool:
    """Whether an item has a place for a label."""
    if isinstance(item, Mapping):
        return _key(item, LABEL_KEYS) is not None
    return isinstance(item, (tuple, list)) and len(item) > 1


def _label_of(item: Any, index: int, source: str) -> Any:
    """Return the label of an item, None where it has none."""
    if not _has_label(item):
        return None
    if isinstance(item, Mapping):
        return item[_key(item, LABEL_KEYS)]
    if len(item) > 2 and index == 0:
        log.info(
            "data: items of %s have %d parts: the first is the image, the second the label",
            source,
            len(item),
        )
    return item[1]


def _key(item: Mapping[Any, Any], known: tuple[str, ...]) -> Any:
    """Return the key among those of an item that means what these do, None if there is none."""
    by_name = {str(key).lower(): key for key in item}
    matching = [by_name[name] for name in known if name in by_name]
    if len(matching) > 1:
        raise InputError(
            f"data.source: items have the keys {', '.join(map(str, item))}, of which "
            f"{' and '.join(map(str, matching))} mean the same; return (image, label) pairs"
        )
    return matching[0] if matching else None


def _is_item(value: Any) -> bool:
    """Whether something is an image with or without a label, and no data set."""
    image = value[0] if isinstance(value, (tuple, list)) and value else value
    return isinstance(image, (Image.Image, np.ndarray, torch.Tensor, Mapping))


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], (int, np.integer))
