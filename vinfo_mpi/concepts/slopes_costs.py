"""Costs of the slopes of all images; see `vinfo_mpi.concepts.slopes`."""

from __future__ import annotations

from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.formulas import NUMBER
from vinfo_mpi.costs.workload import Workload
from vinfo_mpi.networks.footprint import held


def memory(work: Workload) -> float:
    """Return the bytes of the slopes, of blocks of codes, and of a head that is not linear."""
    concepts = work.sizes.concepts
    slopes = NUMBER * concepts * (work.sizes.outputs + 2 * work.sizes.d)
    blocks = 6 * held(NUMBER * work.rows * concepts)
    return slopes + blocks + formulas.head(work, work.rows)


def operations(work: Workload) -> float:
    """Return the operations: products with slopes; forward and back where they are not linear."""
    sizes = work.sizes
    if sizes.linear:  # every rank has the slopes of all classes
        return 2.0 * work.ranks * sizes.outputs * sizes.concepts * sizes.d
    rebuilt_and_along_atoms = 4.0 * sizes.n * sizes.concepts * sizes.d
    back = float(sizes.n * sizes.head)
    return rebuilt_and_along_atoms + formulas.operations_of_head(work, work.rows) + back
