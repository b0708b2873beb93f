"""Data sets of torchvision, by their names: their parts, and how each calls them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torchvision

from vinfo_mpi.config.schema import Data
from vinfo_mpi.errors import InputError, in_one_line

# What the parts to learn from and to hold out are called where it is not train and test.
SPLITS = {
    "CLEVRClassification": ("train", "val"),
    "FGVCAircraft": ("trainval", "test"),
    "ImageNet": ("train", "val"),
    "Imagenette": ("train", "val"),
    "OxfordIIITPet": ("trainval", "test"),
    "Places365": ("train-standard", "val"),
}
# What else has to be said, as the data set is commonly used.
MORE: dict[str, dict[str, Any]] = {"EMNIST": {"split": "balanced"}}


def load(data: Data) -> list[Any]:
    """Return the data sets of training and test, or the one that there is.

    Raises
    ------
    InputError
        Where nothing is found under data.root, or the data set needs more than a folder.
    """
    make = getattr(torchvision.datasets, data.source)
    root = data.root or "data"
    try:
        return [
            make(root=str(Path(root).expanduser()), **options)
            for options in options_of_parts(data.source, data.options)
        ]
    except TypeError as error:
        raise InputError(
            f"data.source: {data.source} cannot be made from data.root alone ({error}); "
            "set data.options, or write a function that returns it and name that as "
            "package.module:function"
        ) from None
    except ImportError as error:
        raise InputError(f"data.source: {data.source} needs a package: {error}") from None
    except (RuntimeError, OSError, ValueError) as error:
        raise InputError(
            f"data.source: {data.source} is not under data.root {root} ({in_one_line(error)}); "
            "put it there, or set data.root"
        ) from None


def options_of_parts(name: str, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what to give to the class of this name, for each part of the data."""
    parameters = inspect.signature(getattr(torchvision.datasets, name)).parameters
    more = {**MORE.get(name, {}), **options}
    # EMNIST hands what says the part on to MNIST.
    if "train" in parameters or name == "EMNIST":
        return [more | {"train": True}, more | {"train": False}]
    if "split" in parameters:
        return [more | {"split": split} for split in SPLITS.get(name, ("train", "test"))]
    return [more]
