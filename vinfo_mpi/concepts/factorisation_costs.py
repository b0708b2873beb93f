"""Costs of a factorisation; see `vinfo_mpi.concepts.factorisation`."""

from __future__ import annotations

import numpy as np

from vinfo_mpi.costs.formulas import NUMBER
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.networks.footprint import held
from vinfo_mpi.numerics import grouped_rows, nmf_updates, nndsvd
from vinfo_mpi.parallel.ranks import LARGEST_COUNT


def costs(work: Workload) -> Costs:
    """Return what a fit takes, from its start to the count of its atoms; on disk while it lasts."""
    sizes = work.sizes
    rows = sizes.n * sizes.positions
    return Costs(
        memory=_memory(work),
        host=_block(work) + 2 * NUMBER * min(_numbers_of_sums(work), LARGEST_COUNT),
        operations=_of_start(work) + _of_iteration(work) * work.iterations["dictionary"],
        sent=_sent_by_start(work) + _sent_by_iterations(work) + work.sent(sizes.concepts),
        temporary=NUMBER * rows * _atoms_per_group(work),
    )


def _of_iteration(work: Workload) -> float:
    """Return the operations of an iteration: products with the rows, and sweeps.

    Every rank improves the atoms of all groups.
    """
    d = work.sizes.d
    k = _atoms_per_group(work)
    rows = work.sizes.n * work.sizes.positions
    channels = work.ranks * work.sizes.groups * d
    of_row = 2.0 * k**2  # codes with codes, atoms with atoms
    if work.config.dictionary.solver == "mu":
        of_row += 2.0 * k**2
    else:
        across_blocks = k if k > nmf_updates.ROWS else 0
        of_row += 2.0 * nmf_updates.SWEEPS * k * (min(k, nmf_updates.ROWS) + across_blocks)
    return 4.0 * rows * d * k + (rows + channels) * of_row


def _of_start(work: Workload) -> float:
    """Return the operations that find the first atoms: a subspace iteration, and signs."""
    d = work.sizes.d
    k = _atoms_per_group(work)
    if work.config.dictionary.init != "nndsvda" or k > d:
        return 0.0
    rows = float(work.sizes.n * work.sizes.positions)
    groups = work.sizes.groups
    width = min(k + nndsvd.OVERSAMPLING, d)
    images = nndsvd.ITERATIONS + 1
    signs = 2 * rows * d * k
    if nndsvd.products_first(groups, d, k):
        return signs + 2 * rows * d**2 + images * work.ranks * groups * 2 * d**2 * width
    return signs + images * 4 * rows * d * width


def _sent_by_iterations(work: Workload) -> float:
    """Return the bytes sent by the iterations of a fit, and by the size of what is factorised."""
    sizes = work.sizes
    k = _atoms_per_group(work)
    iterations = work.iterations["dictionary"]
    # The ranks vote to stop beside sums that none needs.
    sums = iterations + (iterations < work.config.dictionary.max_iterations)
    return work.sent(1 + sums * (sizes.groups * k * (sizes.d + k) + 2))


def _sent_by_start(work: Workload) -> float:
    """Return the bytes sent while the first atoms are found."""
    d = work.sizes.d
    k = _atoms_per_group(work)
    groups = work.sizes.groups
    if work.config.dictionary.init != "nndsvda" or k > d:
        return 0.0
    if nndsvd.products_first(groups, d, k):
        numbers = groups * d**2
    else:
        numbers = (nndsvd.ITERATIONS + 1) * groups * d * min(k + nndsvd.OVERSAMPLING, d)
    return work.sent(numbers + 2 * groups * (k + 1))


def _memory(work: Workload) -> float:
    """Return the bytes of the rows, and of the start, an iteration or the end."""
    d = work.sizes.d
    k = _atoms_per_group(work)
    groups = work.sizes.groups
    rows = work.images_of_rank * work.sizes.positions
    block = min(grouped_rows.rows_at_once(d, work.device), rows)

    x = rows * d * np.dtype(work.config.extract.dtype).itemsize
    # With the rows that were read last; group, order and what sorts them.
    data = x + _block(work) + 5 * NUMBER * rows

    width = min(k + nndsvd.OVERSAMPLING, d)
    start = NUMBER * block * (d + width)  # X in float64, and its products with the subspace
    # Subspaces, before and after, as they are made orthonormal; or singular vectors, their positive
    # and negative parts. Measured for 1,000 classes (python -m benchmarks.paper_size).
    start += NUMBER * groups * d * max(5 * width, 8 * k)
    if nndsvd.products_first(groups, d, k):
        start += 3 * NUMBER * groups * d**2

    codes = NUMBER * rows * k
    sums = 3 * NUMBER * _numbers_of_sums(work)  # being added, of one batch, and being sent
    # X in float64; products, offsets and what improves the codes.
    iteration = held(NUMBER * block * d) + 4 * held(NUMBER * block * k)
    end = 2 * codes  # in order again, and laid out for the file
    return data + max(start, codes + sums + max(iteration, end))


def _block(work: Workload) -> float:
    """Return the bytes of the vectors of the images that are read at once."""
    numbers = work.rows * work.sizes.positions * work.sizes.d
    return 2.0 * numbers * np.dtype(work.config.extract.dtype).itemsize


def _numbers_of_sums(work: Workload) -> int:
    """Return how many numbers an iteration adds over the ranks."""
    k = _atoms_per_group(work)
    return work.sizes.groups * k * (work.sizes.d + k)


def _atoms_per_group(work: Workload) -> int:
    """Return how many atoms every dictionary has room for; those of small classes have fewer."""
    options = work.config.dictionary
    return options.concepts_per_class if options.kind == "class-wise" else options.concepts
