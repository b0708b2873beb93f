"""WebDataset: images in tar files, each beside files of the same name that hold what is known."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torchvision.datasets.folder import IMG_EXTENSIONS

from vinfo_mpi.config.schema import Data
from vinfo_mpi.data import large_files, tables
from vinfo_mpi.data.tables import Rows
from vinfo_mpi.errors import InputError, choices

LABELS = ("cls", "label", "target")  # endings of files that hold the label alone


@dataclass
class Sample:
    """An image in a shard, and what is known of it.

    Attributes
    ----------
    place : tuple of int, or None
        Where the image begins in the shard, and its bytes.
    known : dict
        What the other files say.
    """

    place: tuple[int, int] | None = None
    known: dict[str, Any] = field(default_factory=dict)


def rows(data: Data) -> Rows:
    """Return the images of the shards in data.root: *.tar, or train/*.tar and val/*.tar.

    Raises
    ------
    InputError
        Where there are none, or a shard cannot be read.
    """
    import pandas as pd

    root = Path(data.root or ".").expanduser()
    parts = large_files.shard_parts(root)
    places: list[tuple[str, int, int]] = []
    names: list[str] = []
    known: list[dict[str, Any]] = []
    ends = []
    for paths in parts.values():
        for path in paths:
            for key, sample in _samples(path).items():
                if sample.place is not None:
                    places.append((str(path), *sample.place))
                    names.append(f"{path.relative_to(root)}/{key}")
                    known.append(sample.known)
        ends.append(len(places))
    if not places:
        raise InputError(
            f"data.root: the shards in {root} hold no images ({IMG_EXTENSIONS[0]}, ...)"
        )
    frame = pd.DataFrame(known, index=range(len(places)))
    table = tables.of_frame(root, frame, _label(frame, data), data)
    test = np.arange(len(places)) >= ends[0] if len(parts) > 1 else None
    return Rows(table, partial(_read, places), names, test)


def _label(frame: Any, data: Data) -> dict[str, str]:
    """Return which of the keys is the label, by its role."""
    given = data.columns.get("label")
    if given is not None and given not in frame.columns:
        raise InputError(f"data.columns: no sample has '{given}'; {choices(given, frame.columns)}")
    label = given or next((name for name in (*LABELS, "class") if name in frame.columns), None)
    return {"label": label} if label else {}


def _samples(path: Path) -> dict[str, Sample]:
    """Return the samples of a shard, by name; only headers and small files are read."""
    samples: dict[str, Sample] = {}
    try:
        with tarfile.open(path, "r:") as shard:
            for member in shard:
                if not member.isfile():
                    continue
                folder, slash, name = member.name.rpartition("/")
                stem, _, ending = name.partition(".")
                sample = samples.setdefault(f"{folder}{slash}{stem}", Sample())
                if f".{ending.lower()}" in IMG_EXTENSIONS:
                    sample.place = (member.offset_data, member.size)
                elif ending in LABELS or ending == "json":
                    content = shard.extractfile(member)
                    text = content.read().decode() if content else ""
                    sample.known |= _known(text, ending)
    except (tarfile.TarError, UnicodeDecodeError, json.JSONDecodeError, OSError) as error:
        raise InputError(
            f"data.root: {path} cannot be read as a shard ({error}); it may not be compressed"
        ) from None
    return samples


def _known(text: str, ending: str) -> dict[str, Any]:
    """Return what a file of a sample says."""
    if ending == "json":
        content = json.loads(text)
        return content if isinstance(content, dict) else {}
    value = text.strip()
    return {ending: int(value) if value.lstrip("-").isdigit() else value or None}


def _read(places: list[tuple[str, int, int]], index: int) -> Image.Image:
    """Return an image by its number."""
    path, start, size = places[index]
    with Path(path).open("rb") as shard:
        shard.seek(start)
        image = Image.open(io.BytesIO(shard.read(size)))
    image.load()
    return image
