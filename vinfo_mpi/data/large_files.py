"""Data sets in few large files: which there are, and which of them are held out."""

from __future__ import annotations

import json
from pathlib import Path

from vinfo_mpi.config.schema import Data
from vinfo_mpi.errors import InputError

TRAINING = ("train", "training")
HELD_OUT = ("val", "valid", "validation", "dev", "test", "testing", "eval", "evaluation")

Parts = dict[str, list[Path]]


def files(data: Data) -> list[Path]:
    """Return the files of such a data set, nothing for other sources and where there are none."""
    find = {"huggingface": arrow_parts, "webdataset": shard_parts}.get(data.source)
    if find is None:
        return []
    try:
        parts = find(Path(data.root or ".").expanduser())
    except InputError:
        return []
    return [path for paths in parts.values() for path in paths]


def arrow_parts(root: Path) -> Parts:
    """Return the Arrow or Parquet files to learn from and those that are held out, or all.

    Raises
    ------
    InputError
        Where there are none.
    """
    if (root / "dataset_dict.json").is_file():
        names = json.loads((root / "dataset_dict.json").read_text())["splits"]
        parts = {name: _saved(root / name) for name in names}
    elif (root / "state.json").is_file():
        parts = {"": _saved(root)}
    else:
        parts = {}
        for path in sorted([*root.glob("*.parquet"), *root.glob("data/*.parquet")]):
            parts.setdefault(path.stem.partition("-")[0], []).append(path)
    if not any(parts.values()):
        raise InputError(
            f"data.root: {root} holds no data set of Hugging Face; expected what save_to_disk "
            "writes, or Parquet files such as train-00000-of-00001.parquet"
        )
    return _chosen(parts)


def shard_parts(root: Path) -> Parts:
    """Return the shards to learn from and those that are held out, or all.

    Raises
    ------
    InputError
        Where there are none.
    """
    parts: Parts = {}
    for path in sorted([*root.glob("*.tar"), *root.glob("*/*.tar")]):
        name = path.stem.partition("-")[0] if path.parent == root else path.parent.name
        parts.setdefault(name, []).append(path)
    if not parts:
        raise InputError(
            f"data.root: {root} holds no shards; expected <name>.tar, or train/<name>.tar and "
            "val/<name>.tar, not compressed"
        )
    return _chosen(parts)


def _chosen(parts: Parts) -> Parts:
    """Return a part to learn from and one that is held out, in this order; all in one without."""
    training = [name for name in parts if name.lower() in TRAINING]
    held_out = [name for name in parts if name.lower() in HELD_OUT]
    held_out.sort(key=lambda name: HELD_OUT.index(name.lower()))
    chosen = [*training[:1], *held_out[:1]]
    if chosen:
        return {name: parts[name] for name in chosen}
    return {"": [path for paths in parts.values() for path in paths]}


def _saved(folder: Path) -> list[Path]:
    """Return the files of a data set that save_to_disk has written."""
    state = json.loads((folder / "state.json").read_text())
    return [folder / each["filename"] for each in state["_data_files"]]
