"""How few channels of the last tap the atom of each concept lives on: Hoyer's sparseness.

mpirun -n 8 python -m vinfo_mpi.analyses.hoyer
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("hoyer", __doc__)

import numpy as np

from vinfo_mpi.numerics import atom_geometry
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.results import store
from vinfo_mpi.run import freshness
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.hdf5 import Table, read_table


def run(run: Run, force: bool = False) -> None:
    """Write the sparseness of every atom: a property of the atom alone, without a standard error."""
    provenance = freshness.provenance(run, "hoyer", "vinfo-results")
    values = run.ranks.on_root(lambda: atom_geometry.hoyer(read_table(run.dictionary, "vinfo-dictionary", "atoms")))
    log.info("hoyer: mean sparseness %.3f of %d atoms", np.nanmean(values), len(values))
    text = "Hoyer's sparseness of the atom, 1 = a single channel, 0 = all alike; NaN: an atom of zeros"
    tables = {"concepts/hoyer": Table(values, text, "1", ("concept",))}
    run.ranks.on_root(store.update, run.results, "hoyer", tables, provenance)
