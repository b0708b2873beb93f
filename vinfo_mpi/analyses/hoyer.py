"""How few channels of the last tap the atom of each concept lives on: Hoyer's sparseness.

mpirun -n 8 python -m vinfo_mpi.analyses.hoyer
"""

from __future__ import annotations

from vinfo_mpi import command

if __name__ == "__main__":
    command.main("hoyer", __doc__)  # before the imports below: --help and mistakes answer without torch

import numpy as np

from vinfo_mpi import pipeline
from vinfo_mpi.numerics import sparseness
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.run import Run
from vinfo_mpi.storage import results_file
from vinfo_mpi.storage.files import Table, read_table


def run(run: Run, force: bool = False) -> None:
    """Write the sparseness of every atom: a property of the atom alone, without a standard error."""
    provenance = pipeline.provenance(run, "hoyer", "vinfo-results")
    values = run.ranks.on_root(lambda: sparseness.hoyer(read_table(run.dictionary, "vinfo-dictionary", "atoms")))
    log.info("hoyer: mean sparseness %.3f of %d atoms", np.nanmean(values), len(values))
    text = "Hoyer's sparseness of the atom, 1 = a single channel, 0 = all alike; NaN: an atom of zeros"
    tables = {"concepts/hoyer": Table(values, text, "1", ("concept",))}
    run.ranks.on_root(results_file.update, run.results, "hoyer", tables, provenance)
