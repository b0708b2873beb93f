"""The user's file that says which super-class each class belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from vinfo_mpi.errors import InputError, choices, in_one_line


def read(path: Path, classes: list[str]) -> tuple[list[str], np.ndarray]:
    """Read which super-class each class belongs to.

    Parameters
    ----------
    path : Path
        A YAML file, class: super-class.
    classes : list of C str
        All of which it must name.

    Returns
    -------
    names : list of str
        The super-classes, in the order of their first class.
    groups : (C,) int64 array
        Number of each class's super-class.

    Raises
    ------
    InputError
        If it cannot be read, does not say it of every class, or names a class that there is not.
    """
    where = f"metafeatures.super_classes: {path}"
    super_class_of = _read_yaml(path, where)
    if not isinstance(super_class_of, dict):
        raise InputError(
            f"{where} holds no pairs; write a line for each class, such as "
            f"'{classes[0]}: name of its super-class'"
        )
    for name in super_class_of:
        if name not in classes:
            raise InputError(
                f"{where} names '{name}', which is not a class of the data set; "
                f"{choices(name, classes)}"
            )
    for name in classes:
        super_class = super_class_of.get(name)
        if not isinstance(super_class, str) or not super_class:
            raise InputError(
                f"{where} gives class '{name}' no super-class; add a line "
                f"'{name}: name of its super-class'"
            )
    names = list(dict.fromkeys(super_class_of[name] for name in classes))
    groups = [names.index(super_class_of[name]) for name in classes]
    return names, np.array(groups)


def _read_yaml(path: Path, where: str) -> Any:
    """Return what the file holds, all of it as text: classes named 3 or no are names."""
    try:
        return yaml.load(path.read_bytes(), yaml.BaseLoader)
    except OSError as error:
        raise InputError(
            f"{where} cannot be read ({error.strerror}); give the path of a YAML file, "
            "class: super-class"
        ) from None
    except yaml.YAMLError as error:
        raise InputError(f"{where} is not YAML: {in_one_line(error)}") from None
