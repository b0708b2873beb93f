"""Where in the network is each concept available from epoch to epoch, and does it move?

From the grid of V-information that sedimentation has measured: centre, drift, localisation,
emergence and lifetime of every concept's path, and its kind.

mpirun -n 8 python -m vinfo_mpi.analyses.migration
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("migration", __doc__)

from typing import Any

import numpy as np

from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.formulas import NUMBER
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.numerics import bootstrap, migration
from vinfo_mpi.numerics.migration import KINDS
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import ALIVE, CLASS
from vinfo_mpi.results.schema_migration import (
    DRIFT,
    KIND,
    KIND_NAMES,
    KIND_SHARE,
    MIGRATION_CHECKPOINTS,
    OF_PATHS,
    PATHS,
)
from vinfo_mpi.results.schema_sedimentation import GRID, GRID_CHECKPOINTS
from vinfo_mpi.results.store import dataset_names
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.hdf5 import open_checked


def measure_migration(run: Run, part: Part) -> None:
    """Write the path of every concept over the depth of the network, and what kind it is of."""
    if not run.ranks.on_root(_has_grid, run):
        raise NotApplicable(
            "migration reads where and when concepts are available, which sedimentation has not "
            "measured here; python -m vinfo_mpi.analyses.sedimentation says why"
        )
    epochs = part.read_results(GRID_CHECKPOINTS)
    grid = part.read_results(GRID)
    if grid.shape[1] < 2:
        raise NotApplicable("migration needs several taps, and there is one; set extract.taps")
    here = run.ranks.block(grid.shape[2])
    consecutive = run.config.migration.consecutive
    paths = migration.paths(grid[:, :, here.start : here.stop], epochs, consecutive)
    datasets: dict[Dataset, Any] = {MIGRATION_CHECKPOINTS: epochs, KIND_NAMES: list(KINDS)}
    for dataset in (*PATHS, *OF_PATHS):
        of_rank = getattr(paths, dataset.column)
        datasets[dataset] = run.ranks.concatenate(of_rank, axis=of_rank.ndim - 1)
    alive = part.read_results(ALIVE) == 1
    cluster = part.read_results(CLASS)[alive]
    shares = [
        bootstrap.mean((datasets[KIND][alive] == number).astype(float), cluster)
        for number in range(len(KINDS))
    ]
    datasets[KIND_SHARE] = [share.value for share in shares]
    datasets[KIND_SHARE.se] = [share.standard_error for share in shares]
    drift = datasets[DRIFT][np.isfinite(datasets[DRIFT])]
    log.info("migration: mean drift %+.2f taps; %s", drift.mean() if len(drift) else np.nan,
             ", ".join(f"{kind} {100 * share.value:.0f} %"
                       for kind, share in zip(KINDS, shares, strict=True)))  # fmt: skip
    part.write(datasets)


def costs(work: Workload) -> Costs:
    """Return what the grid, and weights, shares and masks of a rank's concepts take."""
    sizes = work.sizes
    grid = sizes.checkpoints * len(sizes.widths) * sizes.concepts
    columns = len(PATHS) * sizes.checkpoints + len(OF_PATHS)
    return Costs(
        memory=NUMBER * grid * (1 + 8 / work.ranks) + NUMBER * 2 * columns * sizes.concepts,
        on_cpu=True,
        disk=formulas.results(work, columns),
    )


def _has_grid(run: Run) -> bool:
    """Whether results.h5 has the grid."""
    with open_checked(run.results, "vinfo-results") as file:
        return GRID.name in dataset_names(file)
