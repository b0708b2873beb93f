"""What it takes to find the codes of all images; see `vinfo_mpi.concepts.encoders`."""

from __future__ import annotations

from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.formulas import NUMBER
from vinfo_mpi.costs.workload import Workload
from vinfo_mpi.networks.footprint import held
from vinfo_mpi.numerics import nnls
from vinfo_mpi.storage import codes, row_writer
from vinfo_mpi.storage.rows import batch_rows

BESIDE = 7  # numbers per image that are stored beside its codes


def memory(work: Workload) -> float:
    """Return the bytes of a block of images: dictionary, solver, vectors, queue of files, head."""
    k = work.sizes.concepts
    d = work.sizes.d
    positions = work.sizes.positions
    images = _images(work)
    vectors_of_image = positions
    if work.config.encode.positions == "pooled" or not _by_position(work):
        vectors_of_image = 1
    rows = images * vectors_of_image

    if _non_negative(work):
        dictionary = NUMBER * k * (d + 3 * min(k, d))  # atoms and their singular vectors
        solver = _solver(work, rows)
    else:
        dictionary = 2 * NUMBER * k * d
        # Codes of all features, before and after their activation, those of the concepts.
        solver = 5 * held(NUMBER * rows * k) if _by_position(work) else 0.0
    vectors = 6 * held(NUMBER * rows * d)  # true, rebuilt, differences, squares
    queue = _queue(work) if work.device == "cpu" else 0.0
    return dictionary + solver + vectors + queue + formulas.head(work, images)


def host(work: Workload) -> float:
    """Return the bytes beside those on a device: a block as read, what is to be written."""
    vectors = NUMBER * _images(work) * work.sizes.positions * work.sizes.d
    return NUMBER * work.sizes.concepts * work.sizes.d + 2 * held(vectors) + _queue(work)


def _images(work: Workload) -> int:
    """Return the images of a block."""
    rows = max(1, work.config.machine.rows // work.sizes.positions)
    return min(batch_rows(codes.columns(work.sizes.concepts), rows), work.images_of_rank)


def _queue(work: Workload) -> float:
    """Return the bytes of blocks of codes that wait to be written, are written, or are made."""
    return (row_writer.AHEAD + 2) * _images(work) * NUMBER * (work.sizes.concepts + BESIDE)


def operations(work: Workload) -> float:
    """Return the operations of all images."""
    n = work.sizes.n
    k = work.sizes.concepts
    d = work.sizes.d
    pooled = work.config.encode.positions == "pooled" or not _by_position(work)
    vectors = n if pooled else n * work.sizes.positions
    if not _non_negative(work):
        return 2.0 * vectors * k * 2 * d
    products = min(k, d) * work.iterations["encode"] * (1 + 1 / nnls.CHECK)
    return 4.0 * vectors * k * (d + products)


def _non_negative(work: Workload) -> bool:
    return work.config.dictionary.kind_of_source.codes == "non-negative"


def _by_position(work: Workload) -> bool:
    return work.config.dictionary.kind_of_source.codes in ("non-negative", "encoder")


def _solver(work: Workload, rows: int) -> float:
    """Return the bytes of solving for the codes of so many vectors."""
    k = work.sizes.concepts
    open_rows = rows if work.device == "cuda" else min(rows, max(nnls.FEWEST, nnls.CACHE // k))
    all_codes = 3 * held(NUMBER * rows * k)
    return all_codes + 12 * held(NUMBER * open_rows * k)  # target, s, y, z, the gradient, ...
