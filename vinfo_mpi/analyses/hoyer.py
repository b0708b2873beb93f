"""Hoyer's sparseness of each atom: on how few channels of the last tap it lives.

mpirun -n 8 python -m vinfo_mpi.analyses.hoyer
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("hoyer", __doc__)

import numpy as np

from vinfo_mpi.costs.formulas import NUMBER
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.numerics import atom_geometry
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.results.schema_analyses import HOYER
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.hdf5 import read_table


def measure_sparseness(run: Run, part: Part) -> None:
    """Write the sparseness of every atom: of the atom alone, hence without a standard error."""

    def measure() -> np.ndarray:
        return atom_geometry.hoyer(read_table(run.dictionary, "vinfo-dictionary", "atoms"))

    sparseness = run.ranks.on_root(measure)
    log.info("hoyer: mean sparseness %.3f of %d atoms", np.nanmean(sparseness), len(sparseness))
    part.write({HOYER: sparseness})


def costs(work: Workload) -> Costs:
    """Return what the atoms, their absolute values and the squares of these take."""
    return Costs(memory=3.0 * NUMBER * work.sizes.concepts * work.sizes.d, on_cpu=True)
