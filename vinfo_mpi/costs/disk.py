"""Bytes on disk."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vinfo_mpi.concepts import selection
from vinfo_mpi.config.schema import Config
from vinfo_mpi.costs.sizes import Sizes, shown
from vinfo_mpi.pages import sheets
from vinfo_mpi.parallel.partition import sizes as blocks
from vinfo_mpi.storage import codes
from vinfo_mpi.storage.activations import Layout
from vinfo_mpi.storage.rows import CHECKSUMS, Column, checksum_column

DATASET = 1280  # bytes in a file beside a dataset's values: header, description, axis labels
INDEX = 2048  # and where its chunks are
FILE = 5120  # bytes of a file without datasets: groups, the configuration and the other attributes
TENSOR = 250  # bytes in a checkpoint beside a tensor's values: name, two zip headers, alignment
REPORT = 6 * 2**20  # bytes of a report beside its concepts: the plotting library, figures
PIXEL = 0.2  # bytes of a pixel of a photograph in a WebP sheet


def of(sizes: Sizes, config: Config, ranks: int, shared: bool) -> dict[str, float]:
    """Return the bytes of each kind of file when the run is done; `shared`: one file of all ranks, not one per rank."""

    def rows(columns: Mapping[str, Column], tables: int) -> float:
        every = dict(columns) | {CHECKSUMS: checksum_column(columns)}
        alignment = (config.machine.alignment or 0) * 2**20 if shared else 0
        parts = [sizes.n] if shared else [count for count in blocks(sizes.n, ranks) if count]
        values = sum(column.stored(count, alignment) for column in every.values() for count in parts)
        files = 1 if shared else 1 + len(parts)
        return values + files * (FILE + (DATASET + INDEX) * len(every)) + DATASET * tables

    last, mapped, others = (layout(sizes, config, *kept) for kept in ((True, True), (True, False), (False, False)))
    widths, k = list(sizes.widths.values()), sizes.concepts
    head = 4 * sizes.outputs * (sizes.d + 1) if sizes.linear else 0
    small = len(widths) + 1 + 2 * sizes.linear
    tables = 4 * sum(widths) + head
    kept = 0.0 if config.network.checkpoints else _saved(sizes, sizes.checkpoints - 1) + _saved(sizes, 1, momentum=False)
    activations = rows(last.columns(), small) + 4 * sum(sizes.branches.values()) + DATASET * len(sizes.branches)
    activations += (sizes.maps - 1) * rows(mapped.columns(), small) + (sizes.checkpoints - sizes.maps) * rows(
        others.columns(), small
    )
    values = 2 * len(widths) * (1 + len(config.score.also)) + sizes.checkpoints + 2 * len(sizes.branches) + 20
    grid = sizes.checkpoints * len(widths) if "sedimentation" in config.chosen_analyses else 0
    own = {
        "dictionary": float(8 * k * (sizes.d + 1) * (1 if config.dictionary.non_negative else 2) + FILE + 3 * DATASET),
        "codes": rows(codes.columns(k), 0),
        "results": float(8 * k * (values + grid) + 4 * FILE + 60 * DATASET),
    }
    pages = {"report": REPORT + k * _card(sizes, config)} if "report" in config.chosen_pages else {}
    pictures = selection.count(config.visualise, k) if "visualise" in config.chosen_pages else 0
    side = config.visualise.size or sizes.size
    again = sizes.maps - 1 if "sedimentation" in config.chosen_analyses else 0
    return {
        "checkpoints": kept,
        "activations": activations + sizes.checkpoints * tables,
        **own,
        "sedimentation": again * sum(own.values()),
        **pages,
        "pictures": 4.0 * side**2 * (pictures + 3) + 2 * FILE + 6 * DATASET if pictures else 0.0,  # and the spectrum
    }


def temporary(sizes: Sizes, config: Config) -> float:
    """Return the bytes on disk that are needed for a while: an unfinished epoch, or an unfinished dictionary."""
    fit = 8 * sizes.n * sizes.positions * sizes.concepts / sizes.groups if config.dictionary.source == "nmf" else 0
    return max(_saved(sizes, 1) if sizes.steps_of else 0.0, fit)


def layout(sizes: Sizes, config: Config, keep_map: bool = True, last: bool = True) -> Layout:
    """Return what an activations file holds: of a checkpoint whose map is kept, of the last one with its branches."""
    shifts, branches = (
        {name: np.empty(width, np.float32) for name, width in widths.items()} for widths in (sizes.widths, sizes.branches)
    )
    kept = (sizes.positions, sizes.d) if keep_map else None
    return Layout(
        shifts, branches if last else {}, config.extract.pooling, config.extract.dtype, sizes.outputs, sizes.classes, kept, None
    )


def _saved(sizes: Sizes, checkpoints: int, momentum: bool = True) -> float:
    return float(checkpoints * (sizes.weights + momentum * sizes.trainable + TENSOR * sizes.tensors))


def _card(sizes: Sizes, config: Config) -> float:
    """Return the bytes that a concept takes in the report: images, heat maps, numbers."""
    size = min(config.report.thumbnail, sizes.size)
    numbers = 20 * (60 + len(sizes.widths) + sizes.checkpoints + 2 * len(sizes.branches))
    return shown(config) * (PIXEL * size**2 + 100 + 4 * sizes.map / 3) + PIXEL * sheets.THUMBNAIL**2 + numbers
