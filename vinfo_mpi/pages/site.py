"""The pages of a report: two HTML files, and the scripts and sheets of images that they show.

A page that is opened from a disk may load scripts and images, and nothing else: all data is in
scripts. Numbers stand there as they are in results.h5, bit for bit. What people have named
(classes, folders, concepts) is set as text, never as markup.
"""

from __future__ import annotations

import base64
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, FileSystemLoader

from vinfo_mpi.pages import sheets
from vinfo_mpi.pages.answer import Answer
from vinfo_mpi.pages.citation import CITATIONS
from vinfo_mpi.pages.glossary import Glossary
from vinfo_mpi.pages.groups import Group
from vinfo_mpi.results.schema import (
    ALIVE,
    CLASS,
    COMPLEXITY,
    DISCARDED,
    IMPORTANCE,
    LATE,
    NAME,
    TEMPORAL,
    UNREADABLE,
)
from vinfo_mpi.results.schema_analyses import HOYER, NOISE_VARIANCE, REDUNDANCY, STABILITY
from vinfo_mpi.results.schema_metafeatures import MAP_X, MAP_Y
from vinfo_mpi.storage.atomic import write_text, writing

if TYPE_CHECKING:
    import pandas as pd

HERE = Path(__file__).parent
# Columns of the table of concepts and of the plots, where they are there, and what they are called;
# the others stand on the page of a concept.
COLUMNS = {
    COMPLEXITY.column: "complexity",
    UNREADABLE.column: "unreadable",
    LATE.column: "late",
    DISCARDED.column: "discarded",
    IMPORTANCE.column: "importance",
    TEMPORAL.column: "temporal score",
    REDUNDANCY.column: "redundancy",
    NOISE_VARIANCE.column: "noise variance",
    STABILITY.column: "stability",
    HOYER.column: "Hoyer sparsity",
    MAP_X.column: "",
    MAP_Y.column: "",
}


@dataclass
class Index:
    """Contents of the index besides the concepts.

    Attributes
    ----------
    title : str
        Name of the run.
    facts : dict of str to str
    warnings : list of str
    answer : Answer
        The first screen.
    groups : list of Group
        Figures, whose files are in figures/ too.
    missing : list of (str, str)
        What is not there, and the command that adds it.
    """

    title: str
    facts: Mapping[str, str]
    warnings: Sequence[str] = ()
    answer: Answer = field(default_factory=Answer)
    groups: Sequence[Group] = ()
    missing: Sequence[tuple[str, str]] = ()


@dataclass
class Layout:
    """Data that all concepts share.

    Attributes
    ----------
    classes : list of str
    taps, blocks : list of str
        Of the values of each concept.
    epochs : list of int
    captions : list of str
        What each column of a sheet of examples shows.
    descriptions : dict of str to str
        What the columns of the table of concepts hold.
    grid : int
        Positions per side of the heat maps; 0 where there are none.
    curves : str
        V-information of every concept at every tap, packed: (K, L) uint8, 255 for 1.
    """

    classes: list[str]
    taps: list[str]
    blocks: list[str]
    epochs: list[int]
    captions: list[str]
    descriptions: dict[str, str] = field(default_factory=dict)
    grid: int = 0
    curves: str = ""


def json_numbers(values: Any) -> Any:
    """Return an array as lists of floats that JSON can hold, exactly; null: not finite."""
    values = np.asarray(values)
    if values.ndim:
        return [json_numbers(row) for row in values]
    return values.item() if math.isfinite(values) else None


def packed(values: np.ndarray) -> str:
    """Return the little-endian bytes of an array in base64: shorter than decimals, and exact."""
    return base64.b64encode(values.astype(values.dtype.newbyteorder("<")).tobytes()).decode()


def has_sheet(folder: Path, number: int) -> bool:
    """Whether a sheet is there, whole: its script is written last."""
    return _script(folder, number).exists()


def write_sheet(
    folder: Path, number: int, images: np.ndarray, concepts: list[dict[str, Any]], quality: int
) -> None:
    """Write images and data of up to sheets.CONCEPTS concepts.

    Parameters
    ----------
    folder : Path
    number : int
        Of the sheet: its first concept is number · sheets.CONCEPTS.
    images : (n, M, S, S, 3) uint8 array
        Examples of n concepts; the first one is the thumbnail.
    concepts : list of n dict
        What concept.js shows.
    quality : int
        Of the images, from 1 to 100.
    """
    full = np.zeros((sheets.CONCEPTS, *images.shape[1:]), np.uint8)
    full[: len(images)] = images
    folder_of_images = folder / "images"
    sheets.write_tiles(folder_of_images / f"examples_{number:04d}.webp", full, quality)
    thumbnails = sheets.thumbnail_tiles(full[:, 0])
    sheets.write_tiles(folder_of_images / f"thumbnails_{number:04d}.webp", thumbnails, quality)
    data = json.dumps(concepts, allow_nan=False)
    write_text(_script(folder, number), f"report.sheet({number}, {data});\n")


def write_picture(folder: Path, name: str, image: np.ndarray, quality: int) -> None:
    """Write the picture of a concept, or a facet: (S, S, 4) uint8 array, RGB and how opaque."""
    sheets.write_tiles(folder / "images" / f"picture_{name}.webp", image[None, None], quality)


def write_pages(folder: Path, index: Index, layout: Layout, concepts: pd.DataFrame) -> None:
    """Write the pages, and what both read.

    Parameters
    ----------
    folder : Path
    index : Index
    layout : Layout
    concepts : DataFrame
        A row per concept: class, alive, complexity, ..., a name where they have any.
    """
    data = json.dumps(_shared(index.title, layout, concepts), allow_nan=False)
    write_text(folder / "data" / "concepts.js", f"report.begin({data});\n")
    pages = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("index.html", "concept.html"):
        text = pages.get_template(name).render(
            index=index,
            layout=layout,
            concepts=len(concepts),
            sheet=(sheets.CONCEPTS, sheets.COLUMNS),
            glossary=Glossary(),
            citations=CITATIONS,
        )
        write_text(folder / name, text)
    with writing(folder / "assets"):
        shutil.copytree(HERE / "assets", folder / "assets", dirs_exist_ok=True)


def _shared(title: str, layout: Layout, concepts: pd.DataFrame) -> dict[str, Any]:
    """Return what both pages read: the columns of the table, and what all concepts share."""
    names = [name for name in COLUMNS if name in concepts]
    errors = [name for name in names if COLUMNS[name] and f"{name}_se" in concepts]
    return {
        "title": title,
        "concepts": len(concepts),
        "size": sheets.CONCEPTS,
        "across": sheets.COLUMNS,
        "labels": {name: COLUMNS[name] for name in names},
        "columns": {name: packed(concepts[name].to_numpy(np.float64)) for name in names},
        "errors": {name: packed(concepts[f"{name}_se"].to_numpy(np.float64)) for name in errors},
        "class": packed(concepts[CLASS.column].to_numpy(np.int32)),
        "alive": packed(concepts[ALIVE.column].to_numpy(np.uint8)),
        "names": list(concepts[NAME.column]) if NAME.column in concepts else None,
        **vars(layout),
    }


def _script(folder: Path, number: int) -> Path:
    return folder / "data" / f"sheet_{number:04d}.js"
