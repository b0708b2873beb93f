"""Costs of finding the codes of all images; see `vinfo_mpi.concepts.encoders`."""

from __future__ import annotations

from vinfo_mpi.concepts.vinformation import TOGETHER
from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.formulas import NUMBER
from vinfo_mpi.costs.workload import SUMS, Workload
from vinfo_mpi.networks.footprint import held
from vinfo_mpi.numerics import nnls, working_sets
from vinfo_mpi.storage import codes, row_writer
from vinfo_mpi.storage.rows import Column, batch_rows, row_bytes

# Positive codes of a vector, as a share of how many atoms are independent; 0.6 in the sample, less
# where there are more channels.
POSITIVE = 0.6
# Of solving by working sets: looks at all atoms; atoms that carry a vector, as a share of the most
# that may; operations of all factorisations of their products, over the cube of their number. 10
# and 0.4 to 0.8 on the data of benchmarks/encode.py with 2,000 to 10,000 atoms.
LOOKS = 10
CARRY = 0.5
FACTORISATIONS = 3
PILOT = 32  # images that are encoded beforehand: how many positive codes has an image?
ENCODED_BY_GPU = 16  # blocks of machine.rows vectors that a GPU encodes together


def memory(work: Workload) -> float:
    """Return the bytes of a block of images: dictionary, solver, vectors, queue of files, head."""
    k = work.sizes.concepts
    d = work.sizes.d
    images = _images(work)
    rows = vectors_at_once(work)

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


def columns(work: Workload) -> dict[str, Column]:
    """Return the datasets of a codes file, with the codes of every position where they are kept."""
    sizes = work.sizes
    positions = sizes.positions
    width = codes.room(_positive(work) * positions)
    size = row_bytes(codes.columns_by_position(sizes.concepts, positions, width))
    setting = work.config.encode.by_position
    small = setting == "always" or (setting == "auto" and size <= _activations(work))
    kept = small and _non_negative(work) and _vectors_of_image(work) > 1
    return codes.columns(sizes.concepts, positions, width if kept else 0)


def _positive(work: Workload) -> float:
    """Return how many positive codes a vector has."""
    k = work.sizes.concepts
    d = work.sizes.d
    if _by_working_sets(work):
        return CARRY * working_sets.most_that_carry(k, d)
    return POSITIVE * min(k, d)


def kept_by_position(work: Workload) -> bool:
    """Whether codes of every position are in the file."""
    return f"{codes.BY_POSITION}/codes" in columns(work)


def _activations(work: Workload) -> int:
    """Return the bytes of what the final network shows of an image."""
    sizes = work.sizes
    numbers = sizes.positions * sizes.d + sum(sizes.widths.values()) + sum(sizes.branches.values())
    return numbers * (4 if work.config.extract.dtype == "float32" else 2) + 4 * sizes.outputs


def _vectors_of_image(work: Workload) -> int:
    """Return how many vectors of an image are encoded."""
    pooled = work.config.encode.positions == "pooled" or not _by_position(work)
    return 1 if pooled else work.sizes.positions


def _images(work: Workload) -> int:
    """Return the images of a block."""
    images = images_at_once(work.config.machine.rows, work.sizes.positions, work.device)
    return min(batch_rows(columns(work), images), work.images_of_rank)


def vectors_at_once(work: Workload) -> int:
    """Return the vectors of a block."""
    return _images(work) * _vectors_of_image(work)


def images_at_once(rows: int, positions: int, device: str) -> int:
    """Return how many images are encoded together, where machine.rows is `rows`.

    On a GPU so many that others take the places of vectors that are done, most of the time.
    """
    return max(1, rows * (ENCODED_BY_GPU if device == "cuda" else 1) // positions)


def _queue(work: Workload) -> float:
    """Return the bytes of blocks of codes that wait to be written, are written, or are made."""
    return (row_writer.AHEAD + 2) * _images(work) * row_bytes(columns(work))


def operations(work: Workload) -> float:
    """Return the operations of all images: codes, what they rebuild, and what is predicted of it.

    Some images are encoded beforehand, to see how much room their codes need.
    """
    sizes = work.sizes
    beforehand = min(PILOT, sizes.n) if _kept_in_doubt(work) else 0
    rebuilt = 2.0 * sizes.n * _vectors_of_image(work) * sizes.concepts * sizes.d
    predicted = formulas.operations_of_head(work, _images(work))
    if work.config.dictionary.tap != "last":  # the network goes on from the map of each image
        predicted = float(sizes.n * sizes.operations)
    return solutions(work, sizes.n + beforehand) + rebuilt + predicted


def solutions(work: Workload, images: int) -> float:
    """Return the operations of the codes of so many images."""
    k = work.sizes.concepts
    d = work.sizes.d
    vectors = float(images * _vectors_of_image(work))
    if not _non_negative(work):
        return 2.0 * vectors * k * d
    if _by_working_sets(work):
        carry = CARRY * working_sets.most_that_carry(k, d)
        of_vector = 2.0 * k * d * (1 + LOOKS) + FACTORISATIONS * carry**3
        return vectors * of_vector + 2.0 * work.ranks * k**2 * d
    products = min(k, d) * work.iterations["encode"] * (1 + 1 / nnls.CHECK)
    return 4.0 * vectors * k * (d + products)


def _kept_in_doubt(work: Workload) -> bool:
    """Whether some images are encoded beforehand; see `stages.encode`."""
    never = work.config.encode.by_position == "never"
    return not never and _non_negative(work) and _vectors_of_image(work) > 1


def _non_negative(work: Workload) -> bool:
    return work.config.dictionary.kind_of_source.codes == "non-negative"


def _by_position(work: Workload) -> bool:
    return work.config.dictionary.kind_of_source.codes in ("non-negative", "encoder")


def _by_working_sets(work: Workload) -> bool:
    sizes = work.sizes
    solver = work.config.encode.solver
    return nnls.by_working_sets(sizes.concepts, sizes.d, work.device, solver)


def _solver(work: Workload, rows: int) -> float:
    """Return the bytes of solving for the codes of so many vectors."""
    k = work.sizes.concepts
    together = nnls.MOST if work.device == "cuda" else max(nnls.FEWEST, nnls.CACHE // k)
    open_rows = min(rows, together)
    all_codes = 3 * held(NUMBER * rows * k)
    # Target, s, y, z, the gradient, ...: also where working sets give rows up.
    directions = 12 * held(NUMBER * open_rows * k)
    if not _by_working_sets(work):
        return all_codes + directions
    return all_codes + directions + held(NUMBER * k * k) + held(_sets(work, rows))


def _sets(work: Workload, rows: int) -> float:
    """Return the bytes of rows with all atoms, and of their working sets."""
    k = work.sizes.concepts
    d = work.sizes.d
    if work.device == "cpu":
        carry = working_sets.most_that_carry(k, d)
        return NUMBER * working_sets.ROWS * (6 * k + 4 * carry**2)
    room = (work.room or TOGETHER[work.device]) / SUMS
    together = working_sets.rows_within(working_sets.FREE * room, k, d)
    return working_sets.memory(min(rows, together), k, d)
