"""Labels and factors as people have them, brought to numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from vinfo_mpi.errors import InputError

LARGEST = 1_000_000  # labels beyond it are codes of something, not numbers of classes
CATEGORIES = 1000  # texts of a factor beyond it are names of images, not categories


def as_labels(values: Any, source: str) -> tuple[np.ndarray, list[str] | None]:
    """Return the class of every image, and the names of the classes where labels are texts.

    Parameters
    ----------
    values : sequence of N labels, or array
        Whole numbers of any type, a column of them, one-hot rows, or texts, which are numbered in
        the order of the alphabet.
    source : str
        The data set, for sentences.

    Raises
    ------
    InputError
        For fractions, missing labels, several labels per image, or anything that is not a label.
    """
    array = _as_array(values)
    where = f"data.source {source}: "
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2:
        return _of_one_hot(array, where), None
    if array.ndim != 1:
        raise InputError(f"{where}the labels have shape {array.shape}; expected one for each image")
    if array.dtype.kind == "O":
        missing = [index for index, label in enumerate(array) if label is None]
        if missing:
            raise InputError(
                f"{where}image {missing[0]} has no label (None), nor have {len(missing) - 1} "
                "others; leave such images out"
            )
        kinds = sorted({type(label).__name__ for label in array})
        raise InputError(
            f"{where}labels are {', '.join(kinds)}; give a whole number or a text of each image"
        )
    if array.dtype.kind in "US":
        names, labels = np.unique(array.astype(str), return_inverse=True)
        return labels.astype(np.int64), names.tolist()
    if array.dtype.kind == "f":
        broken = np.flatnonzero(~(array == np.round(array)))
        if len(broken):
            raise InputError(
                f"{where}image {broken[0]} has label {array[broken[0]]:g}; classes are numbered by "
                "whole numbers: is it a value to predict? Give it as a factor, or divide it into "
                "classes"
            )
    if array.size and array.max() > LARGEST:
        raise InputError(
            f"{where}labels go up to {array.max()}; number the classes from 0 without gaps"
        )
    return array.astype(np.int64), None


def as_factors(factors: dict[str, Any], images: int, source: str) -> dict[str, np.ndarray]:
    """Return factors as float64 arrays (N,), NaN where a value is missing.

    Yes and no become 1 and 0; each of several texts becomes a factor, 1 where it holds.

    Raises
    ------
    InputError
        For shapes or values that cannot be taken.
    """
    numbers: dict[str, np.ndarray] = {}
    for name, values in factors.items():
        where = f"data.source {source}: the factor '{name}' "
        array = _as_array(values)
        if array.shape != (images,):
            raise InputError(
                f"{where}has shape {array.shape}, but there are {images} images; give one value "
                "for each"
            )
        if array.dtype.kind in "OUS":
            numbers |= _of_categories(name, array, where)
            continue
        if array.dtype.kind not in "buif":
            raise InputError(f"{where}holds {array.dtype}; give numbers, booleans or texts")
        if np.isinf(array).any():
            raise InputError(f"{where}is infinite for image {np.flatnonzero(np.isinf(array))[0]}")
        numbers[name] = array.astype(np.float64)
    return numbers


def _as_array(values: Any) -> np.ndarray:
    """Return values as an array, an object one where they are of several kinds."""
    if isinstance(values, torch.Tensor):
        return values.detach().cpu().numpy()
    if isinstance(values, Sequence) and not isinstance(values, str):
        values = [
            value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
            for value in values
        ]
        # Beside texts, numpy would make texts of numbers and of None.
        if len({isinstance(value, (str, bytes)) for value in values}) > 1:
            return np.array(values, object)
    try:
        array = np.asarray(values)
    except ValueError:
        return np.fromiter(values, object, len(values))
    return _without_objects(array) if array.dtype.kind == "O" else array


def _without_objects(array: np.ndarray) -> np.ndarray:
    """Return an array of objects as one of numbers or texts, if they all are: tables have such."""
    if array.ndim == 1 and len(array):
        for kinds, dtype in (((str, np.str_), str), ((bool, np.bool_), bool)):
            if all(isinstance(value, kinds) for value in array):
                return array.astype(dtype)
        if all(isinstance(value, (int, float, np.number)) for value in array):
            return array.astype(np.float64)
    return array


def _of_one_hot(array: np.ndarray, where: str) -> np.ndarray:
    if array.dtype.kind in "buif":
        marked = array == 1
        if ((marked.sum(1) == 1) & (marked | (array == 0)).all(1)).all():
            return marked.argmax(1).astype(np.int64)
    raise InputError(
        f"{where}the labels have shape {array.shape} and are not one-hot; give one class for each "
        "image (several attributes can be given as factors)"
    )


def _of_categories(name: str, array: np.ndarray, where: str) -> dict[str, np.ndarray]:
    """Return a factor for each of several texts; for numbers with gaps, the factor itself."""
    missing = np.array([_is_missing(value) for value in array], bool)
    present = array[~missing]
    if all(isinstance(value, (int, float, np.number, bool, np.bool_)) for value in present):
        numbers = np.full(len(array), np.nan)
        numbers[~missing] = present.astype(np.float64)
        return {name: numbers}
    if not all(isinstance(value, (str, bytes)) for value in present):
        kinds = sorted({type(value).__name__ for value in present})
        raise InputError(f"{where}holds {', '.join(kinds)}; give numbers, booleans or texts")
    categories = sorted(set(present.tolist()))
    if len(categories) > CATEGORIES:
        raise InputError(f"{where}has {len(categories)} different texts; give fewer categories")
    return {
        f"{name}={category}": np.where(missing, np.nan, array == category)
        for category in categories
    }


def _is_missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and np.isnan(value))
