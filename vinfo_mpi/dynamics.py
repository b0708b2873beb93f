"""When each concept is learned: V-information from every checkpoint to the final network's codes.

mpirun -n 8 python -m vinfo_mpi.dynamics
"""

from __future__ import annotations

from vinfo_mpi import command

if __name__ == "__main__":
    command.main("dynamics", __doc__)  # before the imports below: --help and mistakes answer without torch

import numpy as np

from vinfo_mpi import pipeline, vinformation
from vinfo_mpi.errors import InputError
from vinfo_mpi.numerics import ridge
from vinfo_mpi.numerics.ridge import Scores
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.run import Run
from vinfo_mpi.storage import results_file
from vinfo_mpi.storage.files import Table
from vinfo_mpi.storage.pieces import Pieces


def run(run: Run, force: bool = False) -> None:
    """Write V-information per checkpoint, the temporal score, and the grid of checkpoints and taps on request."""
    provenance = pipeline.provenance(run, "dynamics", "vinfo-results")
    if len(run.checkpoints) < 2:
        raise InputError("dynamics needs several checkpoints, found one; train here, or name yours in network.checkpoints")
    pieces = run.pieces("dynamics", provenance["fingerprint"], force)
    scores = _every_checkpoint(run, pieces)
    if pieces.reused:
        log.info("dynamics: %d taps reused, %d new", pieces.reused, sum(map(len, scores)) - pieces.reused)
    epochs = np.array([one.epoch for one in run.checkpoints])
    last = np.stack([taps[-1].r2 for taps in scores])  # (E, K)
    trained = epochs > 0  # the untrained network is shown, but is no epoch of the training
    without = np.stack([taps[-1].without for taps in scores])[trained]
    concept, grid = ("concept",), ("checkpoint", "tap", "concept")
    tables = {
        "dynamics/checkpoints": Table(epochs, "epoch; 0 = untrained", "epoch", ("checkpoint",)),
        "dynamics/vinformation": Table(
            last, "V-information from the last tap at this epoch to the final network's concept", "1", grid[::2]
        ),
        "concepts/temporal": Table(
            ridge.complexity(last[trained]),
            "temporal score: 1 - mean V-information over epochs from 1 on",
            "1",
            concept,
        ),
        "concepts/temporal_se": Table(
            vinformation.standard_error(without),
            "standard error of the temporal score (jackknife over folds)",
            "1",
            concept,
        ),
    }
    if run.config.dynamics.grid:
        values = np.stack([[tap.r2 for tap in taps] for taps in scores])
        tables["dynamics/grid"] = Table(values, "V-information from this tap at this epoch to the final concept", "1", grid)
    run.ranks.on_root(results_file.update, run.results, "dynamics", tables, provenance)
    pieces.remove()


def _every_checkpoint(run: Run, pieces: Pieces) -> list[list[Scores]]:
    """Return the scores of all concepts, per checkpoint, at the last tap or at all taps."""
    found: list[list[Scores]] = []
    with run.open_codes() as codes:
        for turn, checkpoint in enumerate(run.progress(run.checkpoints, "dynamics: checkpoints")):
            with run.open_activations(checkpoint) as activations:
                fold = vinformation.fold_of_rows(run, activations, codes)
                taps = activations.taps if run.config.dynamics.grid else activations.taps[-1:]
                names = {tap: f"{checkpoint.name}-{tap}" for tap in taps}
                found.append([vinformation.of_all(run, pieces, names[tap], activations, tap, codes, fold, turn) for tap in taps])
                run.clock.bytes_read += activations.bytes_read
        run.clock.bytes_read += codes.bytes_read
    return found
