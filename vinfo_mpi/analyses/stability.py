"""Whether concepts are there to be found: fits of the dictionary from other atoms, matched with it class by class.

mpirun -n 8 python -m vinfo_mpi.analyses.stability
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("stability", __doc__)

from collections.abc import Callable

import numpy as np

from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.numerics import atom_geometry
from vinfo_mpi.numerics.nmf import State
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.results import store
from vinfo_mpi.run import freshness
from vinfo_mpi.run.run import Run
from vinfo_mpi.stages import dictionary
from vinfo_mpi.stages.dictionary import Rows
from vinfo_mpi.storage.hdf5 import Table, read_table


def run(run: Run, force: bool = False) -> None:
    """Write how similar the atoms of fits from random atoms are to those of the dictionary."""
    if (source := run.config.dictionary.source) != "nmf":
        raise NotApplicable(f"stability repeats the fit of the dictionary; there is none where dictionary.source is {source}")
    provenance = freshness.provenance(run, "stability", "vinfo-results")
    pieces = run.pieces("stability", provenance["fingerprint"], force)
    atoms, group = (read_table(run.dictionary, "vinfo-dictionary", name) for name in ("atoms", "class"))
    seeds = run.config.seed + 1 + np.arange(run.config.stability.seeds)
    with run.clock.phase("read"):
        rows = dictionary.read_rows(run)
    found = []
    for seed in seeds.tolist():

        def make(seed: int = seed) -> dict[str, np.ndarray]:
            state = _fit(run, rows, seed)
            others = state.atoms.flatten(0, 1).cpu().numpy()
            return {"similarity": atom_geometry.match(atoms, others, group), "relative_error": np.array(state.relative_error)}

        found.append(pieces.get(f"seed_{seed}", make))
        run.safe_point()
    if pieces.reused:
        log.info("stability: %d fits reused, %d new", pieces.reused, len(seeds) - pieces.reused)
    similarity, error = (np.stack([one[name] for one in found]) for name in ("similarity", "relative_error"))
    mean = similarity.mean(0)
    log.info("stability: mean similarity %.3f over %d fits, %.0f %% of the atoms above 0.9; relative error %.4f",
             mean.mean(), len(seeds), 100 * (mean > 0.9).mean(), error.mean())  # fmt: skip
    spread = similarity.std(0, ddof=1) if len(seeds) > 1 else np.full(len(mean), np.nan)
    tables = {
        "stability/seeds": Table(seeds, "seed of the random atoms that the fit started from", axes=("seed",)),
        "stability/similarity": Table(
            similarity, "cosine of the atom and its counterpart in the fit, matched within its class", "1", ("seed", "concept")
        ),
        "stability/relative_error": Table(error, "||X - Z D|| / ||X|| of the fit", "1", ("seed",)),
        "concepts/stability": Table(mean, "mean cosine of the atom and its counterparts in other fits", "1", ("concept",)),
        "concepts/stability_se": Table(spread / np.sqrt(len(seeds)), "its standard error over the fits", "1", ("concept",)),
    }
    run.ranks.on_root(store.update, run.results, "stability", tables, provenance)
    pieces.remove()


def _fit(run: Run, rows: Rows, seed: int) -> State:
    """Return a fit from random atoms; one that is ended begins anew."""

    def after(copy: Callable[[], State]) -> None:
        bar.update()
        run.safe_point()

    with run.clock.phase("fit"), run.bar(f"stability: seed {seed}", run.config.dictionary.max_iterations) as bar:
        return dictionary.fit(run, rows, seed, "random", after)
