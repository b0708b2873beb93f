"""Whether concepts are there to be found, and how much their complexity depends on the fit.

Fits of the dictionary from other atoms, matched with it class by class, encoded and scored.

mpirun -n 8 python -m vinfo_mpi.analyses.stability
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("stability", __doc__)

import copy
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vinfo_mpi.config.schema import Config
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.numerics import atom_geometry
from vinfo_mpi.numerics.arrays import standard_error
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import COMPLEXITY
from vinfo_mpi.results.schema_analyses import (
    DICTIONARY_SE,
    FIT_COMPLEXITY,
    FIT_ERROR,
    FIT_PARTS,
    SEEDS,
    SIMILARITY,
    STABILITY,
)
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.hdf5 import open_checked, read_table

SCORED = ("encode", "score")  # the stages that give the complexity of what a fit has found


def measure_stability(run: Run, part: Part) -> None:
    """Write how similar the concepts of fits from random atoms are to those of the dictionary."""
    dictionary = run.config.dictionary
    if not dictionary.kind_of_source.fitted:
        raise NotApplicable(
            "stability repeats the fit of the dictionary; there is none where dictionary.source is "
            f"{dictionary.source}"
        )
    atoms = read_table(run.dictionary, "vinfo-dictionary", "atoms")
    group = read_table(run.dictionary, "vinfo-dictionary", "class")
    seeds = run.config.seed + 1 + np.arange(run.config.stability.seeds)
    folder = run.folder / "stability"
    fits = []
    for seed in seeds.tolist():
        compare = partial(_compare, run, part, seed, folder / f"seed_{seed}", atoms, group)
        fits.append(part.partial_results.get(f"seed_{seed}", compare))
        _remove(run, folder / f"seed_{seed}")  # its codes are as large as those of the run
        run.safe_point()
    _remove(run, folder)
    part.partial_results.log_reused("fits")
    similarity = np.stack([fit["similarity"] for fit in fits])  # (seeds, K)
    error = np.stack([fit["relative_error"] for fit in fits])
    mean = similarity.mean(0)
    log.info("stability: mean similarity %.3f over %d fits, %.0f %% of the atoms above 0.9; "
             "relative error %.4f",
             mean.mean(), len(seeds), 100 * (mean > 0.9).mean(), error.mean())  # fmt: skip
    datasets: dict[Dataset, Any] = {
        SEEDS: seeds,
        SIMILARITY: similarity,
        FIT_ERROR: error,
        STABILITY: mean,
        STABILITY.se: standard_error(similarity),
    }
    if run.config.stability.score:
        own = part.read_results(COMPLEXITY)
        for dataset in (FIT_COMPLEXITY, *FIT_PARTS.values()):
            datasets[dataset] = np.stack([fit[dataset.column] for fit in fits])
        datasets[DICTIONARY_SE] = deviation(own, datasets[FIT_COMPLEXITY])
        log.info("stability: mean complexity %.3f, in the other fits %.3f; of a concept ± %.3f",
                 np.nanmean(own), np.nanmean(datasets[FIT_COMPLEXITY]),
                 np.nanmean(datasets[DICTIONARY_SE]))  # fmt: skip
    part.write(datasets)


def costs(work: Workload) -> Costs:
    """Return what fits take: each the stages of a dictionary, whose files go when it is compared.

    The start from random atoms takes nothing.
    """
    config = from_random(work.config, work.config.seed)
    stages = ("dictionary", *(SCORED if config.stability.score else ()))
    repeated = [work.costs_of(stage, config) for stage in stages]
    on_disk = sum(sum(stage.disk.values()) for stage in repeated)
    fits = config.stability.seeds
    return Costs(
        memory=max(stage.memory for stage in repeated),
        host=max(stage.beside_device for stage in repeated),
        operations=fits * sum(stage.operations for stage in repeated),
        sent=fits * sum(stage.sent for stage in repeated),
        temporary=on_disk + max(stage.temporary for stage in repeated),
    )


def deviation(own: np.ndarray, of_fits: np.ndarray) -> np.ndarray:
    """Return the standard deviation over the dictionary itself and other fits.

    Parameters
    ----------
    own : (K,) array
        Of the dictionary's concepts.
    of_fits : (S, K) array
        Of their counterparts in each fit; NaN for one without variance, which is left out.

    Returns
    -------
    (K,) float64 array
        NaN where there are fewer than two values, or the concept itself has none.
    """
    values = np.vstack([own, of_fits])
    known = np.isfinite(own) & (np.isfinite(values).sum(0) > 1)
    result = np.full(len(own), np.nan)
    result[known] = np.nanstd(values[:, known], axis=0, ddof=1)
    return result


def from_random(config: Config, seed: int) -> Config:
    """Return the settings of a fit from random atoms, scored by the main predictor alone."""
    changes = {
        "dictionary": config.dictionary.model_copy(update={"init": "random"}),
        "score": config.score.model_copy(update={"also": []}),
        "seed": seed,
    }
    return config.model_copy(update=changes).without_positions()


def _remove(run: Run, folder: Path) -> None:
    run.ranks.on_root(partial(shutil.rmtree, folder, ignore_errors=True))


def _compare(
    run: Run, part: Part, seed: int, outputs: Path, atoms: np.ndarray, group: np.ndarray
) -> dict[str, np.ndarray]:
    """Return how the concepts of a fit are, each in the place of its counterpart of the run's.

    Resumes from what an ended job has left in the folder `outputs`.
    """
    view = copy.copy(run)
    view.outputs = outputs
    view.config = from_random(run.config, seed)
    part.bring_up_to_date(view, "dictionary")
    with open_checked(view.dictionary, "vinfo-dictionary") as file:
        relative_error = np.array(file.attrs["relative_error_of_fit"])
    atoms_of_fit = read_table(view.dictionary, "vinfo-dictionary", "atoms")
    counterpart, similarity = atom_geometry.match(atoms, atoms_of_fit, group)
    compared = {"similarity": similarity, "relative_error": relative_error}
    if run.config.stability.score:
        view.config = from_random(run.config, run.config.seed)  # the folds are those of the run
        for stage in SCORED:
            run.safe_point()
            part.bring_up_to_date(view, stage)
        for own in (COMPLEXITY, *FIT_PARTS):
            of_fit = read_table(view.results, "vinfo-results", own.name)
            compared[own.column] = of_fit[counterpart]
    return compared
