"""The images of a run by name, so that others under the same numbers are noticed."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

from vinfo_mpi.config.schema import Data
from vinfo_mpi.data import tables
from vinfo_mpi.data.images import Images
from vinfo_mpi.errors import InputError
from vinfo_mpi.storage.atomic import write_bytes

WHICH_IMAGES = {"source", "root", "options", "on_empty_class", "planted"}
OF_A_TABLE = {"table", "columns"}


def check(folder: Path, images: Images, data: Data) -> None:
    """List the images in the folder of the run, or compare them with the list; on one rank.

    Ids are positions in a data set: an image more moves all behind it, and pictures and concepts
    would no longer belong together.

    Raises
    ------
    InputError
        If images have been added, removed or renamed since, or have other labels.
    """
    path = _path(folder)
    settings = json.dumps(data.model_dump(mode="json", include=WHICH_IMAGES))
    if data.table is not None:
        # A table that has changed is known by its content: all that depends on it is made anew.
        of_table = data.model_dump(mode="json", include=OF_A_TABLE)
        settings += json.dumps(of_table | {"content": tables.key_of_images(data)})
    now = _lines(images, data)
    if path.exists():
        listed = gzip.decompress(path.read_bytes()).decode(errors="surrogateescape").split("\n")
        # Images from elsewhere are others, and everything is made anew.
        if listed[0] == settings and listed[1:] != now:
            raise InputError(
                f"data.source {data.source}: the images are not those of {folder}: "
                f"{_difference(listed[1:], now)}; put them back, name another folder with "
                "--run-dir, or start over with python -m vinfo_mpi.extract --force"
            )
        if listed[0] == settings:
            return
    text = "\n".join([settings, *now])
    write_bytes(path, gzip.compress(text.encode(errors="surrogateescape"), 1, mtime=0))


def forget(folder: Path) -> None:
    """Delete the list, and that of the images that cannot be read: the images may be others now."""
    _path(folder).unlink(missing_ok=True)
    (folder / "skipped.json").unlink(missing_ok=True)


def _path(folder: Path) -> Path:
    return folder / "images.txt.gz"


def _lines(images: Images, data: Data) -> list[str]:
    """Return a line for every image: its label, and its name where it has one."""
    labels = images.labels.tolist()
    if images.names is None:
        return [str(label) for label in labels]
    root = f"{Path(data.root or '').expanduser()}/"
    names = [name.removeprefix(root).replace("\n", " ") for name in images.names]
    return [f"{label} {name}" for label, name in zip(labels, names, strict=True)]


def _difference(listed: list[str], now: list[str]) -> str:
    """Return in words what has changed, with the first image that has."""
    added = [*(Counter(now) - Counter(listed)).elements()]
    removed = [*(Counter(listed) - Counter(now)).elements()]
    parts = []
    for lines, what in ((added, "added"), (removed, "removed")):
        if lines:
            parts.append(f"{len(lines)} {what} (first: {lines[0].partition(' ')[2] or lines[0]})")
    return ", ".join(parts) or "their order has changed"
