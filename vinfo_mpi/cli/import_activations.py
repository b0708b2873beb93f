"""Making a run of activations that another program has extracted: its configuration, its files."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from vinfo_mpi.config.load import load_config
from vinfo_mpi.data.imported import FILE, LAYOUTS, Imported
from vinfo_mpi.data.imported import images as imported_images
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks.imported import PREFIX, mean_of
from vinfo_mpi.numerics.affine import affine_of
from vinfo_mpi.storage.activations import UNLABELLED
from vinfo_mpi.storage.array_files import RowsOfArray
from vinfo_mpi.storage.atomic import write_text

CONFIG = "imported.yaml"
HEAD = "imported_head.npz"  # that was found from logits
CHECKED = 256  # rows that a head is tried with
FILES = {
    "labels": "class of every image, from 0: (N,) whole numbers",
    "ids": "name of every image: (N,)",
    "logits": "what the network gave: (N, C)",
    "head-weight": "of a linear head of the last layer's mean: (C, d)",
    "head-bias": "its bias: (C,)",
}


def parse(description: str | None) -> argparse.Namespace:
    """Return what the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m vinfo_mpi.import_activations",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, metavar="DIR", help="the run's folder, which is made")
    parser.add_argument(
        "--layer", action="append", required=True, metavar="NAME=ARRAY", help="in forward order"
    )
    for name, meaning in FILES.items():
        parser.add_argument(f"--{name}", metavar="ARRAY", help=meaning)
    parser.add_argument("--classes", type=Path, metavar="FILE", help="a class name a line")
    return parser.parse_args()


def write(options: argparse.Namespace) -> Path:
    """Write what is imported, and the run's configuration; return its path. On one rank."""
    folder = options.run.resolve()
    imported = Imported(
        _layers(options.layer),
        _absolute(options.labels),
        _absolute(options.ids),
        _absolute(options.logits),
        _absolute(options.head_weight),
        _absolute(options.head_bias),
        tuple(options.classes.read_text().splitlines() if options.classes else ()),
    )
    imported = _with_classes(_with_head(imported, folder))
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / FILE, json.dumps(asdict(imported), indent=1))
    settings = _settings(imported, folder)
    write_text(folder / CONFIG, yaml.safe_dump(settings, sort_keys=False))
    imported_images(load_config(folder / CONFIG).data, 0)  # what is wrong with them is said first
    return folder / CONFIG


def _layers(given: list[str]) -> dict[str, str]:
    layers: dict[str, str] = {}
    for each in given:
        name, equals, place = each.partition("=")
        if not equals or not name or not place:
            raise InputError(f"--layer {each}: expected NAME=ARRAY, such as block1=block1.npy")
        if name in layers:
            raise InputError(f"--layer {name} is given twice; give each layer a name of its own")
        layers[name] = str(_absolute(place))
    return layers


def _absolute(place: str | None) -> str | None:
    """Return where an array lies, from whatever folder it is looked at."""
    return None if place is None else str(Path(place).expanduser().resolve())


def _with_head(imported: Imported, folder: Path) -> Imported:
    """Return it with the linear head that its logits follow from, where there is one."""
    if imported.bias is not None and imported.weight is None:
        raise InputError("--head-bias belongs to --head-weight; give both")
    if imported.logits is None:
        return imported
    last = list(imported.arrays.values())[-1]
    logits = RowsOfArray(imported.logits, "logits:")
    if len(logits.shape) != 2 or logits.shape[0] != imported.count:
        raise InputError(
            f"{logits.where} has shape {logits.shape}; expected ({imported.count}, C), a row for "
            "each of the layers'"
        )
    rows = np.linspace(0, imported.count - 1, min(imported.count, 4 * _width(last))).astype(int)
    vectors = _means(last, rows)
    if imported.weight is not None:
        weight = RowsOfArray(imported.weight, "head:").all()
        bias = 0.0 if imported.bias is None else RowsOfArray(imported.bias, "head:").all()
        given = logits.read(rows[:CHECKED])
        if np.abs(vectors[:CHECKED] @ weight.T + bias - given).max() > 1e-3 * given.std():
            raise InputError("the head does not give the logits of the last layer's mean; drop one")
        return imported
    head = affine_of(vectors, logits.read(rows))
    if head is None:
        return imported
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / HEAD, weight=head[0], bias=head[1])
    return replace(imported, weight=f"{folder / HEAD}:weight", bias=f"{folder / HEAD}:bias")


def _with_classes(imported: Imported) -> Imported:
    """Return it with names of the classes: their numbers, where there are no others."""
    labels = imported.column("labels")
    if imported.classes:
        return imported
    if labels is None:
        return replace(imported, classes=(UNLABELLED,))
    place = imported.logits or imported.weight
    axis = 1 if imported.logits else 0
    count = int(labels.max()) + 1 if place is None else RowsOfArray(place, "logits:").shape[axis]
    return replace(imported, classes=tuple(str(number) for number in range(count)))


def _settings(imported: Imported, folder: Path) -> dict[str, Any]:
    """Return the run's configuration, but for its defaults."""
    layout = {name: LAYOUTS[len(array.shape)] for name, array in imported.arrays.items()}
    settings: dict[str, Any] = {
        "name": folder.name,
        "data": {
            "source": "imported", "root": str(folder), "image_size": 1, "normalised": True,
            "mean": [0.0], "std": [1.0],
        },
        "network": {"name": f"{PREFIX}{folder}"},
        "train": {"epochs": 0},
        "extract": {
            "taps": list(layout), "layout": layout, "prefix_tokens": 0, "tokens": "mean",
            "branches": False,
        },
        "pages": ["report"],
    }  # fmt: skip
    if imported.weight is None:
        settings["network"]["outputs"] = "none"
        print(
            "without a linear head of the last layer decisions are not known: predictions, "
            "importance and support are left out"
        )
    if imported.labels is None:
        settings["dictionary"] = {"kind": "joint"}
    return settings


def _width(array: RowsOfArray) -> int:
    return array.shape[1] if len(array.shape) != 3 else array.shape[2]


def _means(array: RowsOfArray, rows: np.ndarray) -> np.ndarray:
    import torch

    return mean_of(torch.from_numpy(array.read(rows)).double()).numpy()
