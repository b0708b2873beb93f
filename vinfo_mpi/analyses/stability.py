"""Whether concepts are there to be found.

Fits of the dictionary from other atoms, matched with it class by class.

mpirun -n 8 python -m vinfo_mpi.analyses.stability
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("stability", __doc__)

from collections.abc import Callable

import numpy as np

from vinfo_mpi.concepts import factorisation, factorisation_costs
from vinfo_mpi.concepts.factorisation import Rows
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.numerics import atom_geometry
from vinfo_mpi.numerics.arrays import standard_error
from vinfo_mpi.numerics.nmf import State
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.results.schema_analyses import FIT_ERROR, SEEDS, SIMILARITY, STABILITY
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.hdf5 import read_table


def measure_stability(run: Run, part: Part) -> None:
    """Write how similar the atoms of fits from random atoms are to those of the dictionary."""
    dictionary = run.config.dictionary
    if not dictionary.kind_of_source.fitted:
        raise NotApplicable(
            "stability repeats the fit of the dictionary; there is none where dictionary.source is "
            f"{dictionary.source}"
        )
    atoms = read_table(run.dictionary, "vinfo-dictionary", "atoms")
    group = read_table(run.dictionary, "vinfo-dictionary", "class")
    seeds = run.config.seed + 1 + np.arange(run.config.stability.seeds)
    with run.clock.phase("read"):
        rows = factorisation.read_rows(run)
    fits = []
    for seed in seeds.tolist():

        def compare(seed: int = seed) -> dict[str, np.ndarray]:
            state = _fit(run, rows, seed)
            atoms_of_fit = factorisation.atoms(rows, state)
            return {
                "similarity": atom_geometry.match(atoms, atoms_of_fit, group),
                "relative_error": np.array(state.relative_error),
            }

        fits.append(part.partial_results.get(f"seed_{seed}", compare))
        run.safe_point()
    part.partial_results.log_reused("fits")
    similarity = np.stack([fit["similarity"] for fit in fits])  # (seeds, K)
    error = np.stack([fit["relative_error"] for fit in fits])
    mean = similarity.mean(0)
    log.info("stability: mean similarity %.3f over %d fits, %.0f %% of the atoms above 0.9; "
             "relative error %.4f",
             mean.mean(), len(seeds), 100 * (mean > 0.9).mean(), error.mean())  # fmt: skip
    part.write(
        {
            SEEDS: seeds,
            SIMILARITY: similarity,
            FIT_ERROR: error,
            STABILITY: mean,
            STABILITY.se: standard_error(similarity),
        }
    )


def costs(work: Workload) -> Costs:
    """Return what the fits take: each as much as that of the dictionary, but for its start."""
    seeds = work.config.stability.seeds
    fit = work.costs_of("dictionary")
    return Costs(
        memory=fit.memory,
        host=fit.host,
        operations=seeds * fit.operations,
        sent=seeds * factorisation_costs.sent_by_iterations(work),
    )


def _fit(run: Run, rows: Rows, seed: int) -> State:
    """Return a fit from random atoms; one that is ended begins anew."""

    def after(copy: Callable[[], State]) -> None:
        bar.update()
        run.safe_point()

    with (
        run.clock.phase("fit"),
        run.bar(f"stability: seed {seed}", run.config.dictionary.max_iterations) as bar,
    ):
        return factorisation.fit(run, rows, seed, "random", after)
