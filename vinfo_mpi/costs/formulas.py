"""Costs that several stages share."""

from __future__ import annotations

from collections.abc import Mapping

from vinfo_mpi.costs.workload import Workload
from vinfo_mpi.networks.footprint import held
from vinfo_mpi.parallel.partition import sizes as block_sizes
from vinfo_mpi.storage.rows import CHECKSUMS, Column, checksum_column

NUMBER = 8  # bytes: float64 or int64
DATASET = 1280  # bytes in a file beside a dataset's values: header, description, axis labels
INDEX = 2048  # and where its chunks are
OPEN = 2**15  # of memory for every dataset of a file that is being written; measured
FILE = 5120  # bytes of a file without datasets: groups, configuration, other attributes


def images_in_flight(work: Workload, count: int, waiting: int) -> float:
    """Return the bytes of images on their way to the network.

    8-bit batches, `waiting` of them ahead, and three steps of the normalisation.
    """
    bytes_alone = count * work.sizes.channels * work.sizes.size**2 * (waiting + 2)
    return bytes_alone + 3 * images_of_network(work, count)


def images_of_network(work: Workload, count: int) -> float:
    """Return the bytes of images as the network takes them: in float32."""
    return 4 * count * work.sizes.channels * work.sizes.size**2


def head(work: Workload, images: int) -> float:
    """Return the bytes of a head that is not linear: the network in float64, a forward pass."""
    share = min(1.0, images / work.sizes.batch)
    return 0.0 if work.sizes.linear else 2 * work.sizes.weights + 2 * share * work.sizes.forward


def operations_of_head(work: Workload, block: int) -> float:
    """Return the operations from the vectors of all images at the last tap to the logits.

    A head that is not linear is the network behind the tap, which runs up to the tap once for a
    batch; of `block` images at a time, of which each begins a batch.
    """
    sizes = work.sizes
    behind = float(sizes.n * sizes.head)
    if sizes.linear:
        return behind
    calls = sizes.n / block * -(-block // sizes.batch)
    return behind + calls * (sizes.operations - sizes.head)


def products(work: Workload, width: int) -> float:
    """Return the bytes of sums of products of so many variables, being added, and eigenvectors."""
    return 4 * NUMBER * width**2 + 3 * held(NUMBER * work.rows * width)


def row_file(work: Workload, columns: Mapping[str, Column], tables: int) -> float:
    """Return the bytes on disk of a file with a row per image, and so many small datasets."""
    every_column = dict(columns) | {CHECKSUMS: checksum_column(columns)}
    alignment = (work.config.machine.alignment or 0) * 2**20 if work.shared else 0
    blocks = [work.sizes.n] if work.shared else block_sizes(work.sizes.n, work.ranks)
    blocks = [count for count in blocks if count]
    values = sum(
        column.stored(count, alignment) for column in every_column.values() for count in blocks
    )
    files = 1 if work.shared else 1 + len(blocks)
    return values + files * (FILE + (DATASET + INDEX) * len(every_column)) + DATASET * tables


def results(work: Workload, columns: float) -> dict[str, float]:
    """Return the bytes in results.h5 of so many numbers per concept."""
    return {"results": NUMBER * work.sizes.concepts * columns}
