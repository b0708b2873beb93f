"""When each concept is learned: V-information from every checkpoint to the final network's codes.

mpirun -n 8 python -m vinfo_mpi.dynamics
"""

from __future__ import annotations

from vinfo_mpi import command

if __name__ == "__main__":
    command.main("dynamics", __doc__)  # before the imports below: --help and mistakes answer without torch

import numpy as np

from vinfo_mpi import pipeline, vinformation
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.numerics import ridge
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.run import Run
from vinfo_mpi.storage import results_file
from vinfo_mpi.storage.files import Table


def run(run: Run, force: bool = False) -> None:
    """Write V-information per checkpoint, and the temporal score."""
    provenance = pipeline.provenance(run, "dynamics", "vinfo-results")
    if len(run.checkpoints) < 2:
        raise NotApplicable("dynamics needs several checkpoints, found one; train here, or name yours in network.checkpoints")
    pieces = run.pieces("dynamics", provenance["fingerprint"], force)
    scores = []
    with run.open_codes() as codes:
        for turn, checkpoint in enumerate(run.progress(run.checkpoints, "dynamics: checkpoints")):
            with run.open_activations(checkpoint) as activations:
                fold = vinformation.fold_of_rows(run, activations, codes)
                last = activations.taps[-1]
                scores.append(vinformation.at_tap(run, pieces, checkpoint.name, activations, last, codes, fold, turn))
                run.clock.bytes_read += activations.bytes_read
        run.clock.bytes_read += codes.bytes_read
    if pieces.reused:
        log.info("dynamics: %d taps reused, %d new", pieces.reused, len(scores) - pieces.reused)
    epochs = np.array([one.epoch for one in run.checkpoints])
    values = np.stack([one.r2 for one in scores])  # (E, K)
    trained = epochs > 0  # the untrained network is shown, but is no epoch of the training
    without = np.stack([one.without for one in scores])[trained]
    concept, both = ("concept",), ("checkpoint", "concept")
    tables = {
        "dynamics/checkpoints": Table(epochs, "epoch; 0 = untrained", "epoch", ("checkpoint",)),
        "dynamics/vinformation": Table(
            values, "V-information from the last tap at this epoch to the final network's concept", "1", both
        ),
        "concepts/temporal": Table(
            ridge.complexity(values[trained]), "temporal score: 1 - mean V-information over epochs from 1 on", "1", concept
        ),
        "concepts/temporal_se": Table(
            vinformation.standard_error(without), "standard error of the temporal score (jackknife over folds)", "1", concept
        ),
    }
    run.ranks.on_root(results_file.update, run.results, "dynamics", tables, provenance)
    pieces.remove()
