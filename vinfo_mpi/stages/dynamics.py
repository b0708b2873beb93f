"""When each concept is learned: V-information from every checkpoint to the final network's codes."""

from __future__ import annotations

import numpy as np

from vinfo_mpi.concepts import vinformation
from vinfo_mpi.concepts.vinformation import Source
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.numerics import ridge
from vinfo_mpi.results import store
from vinfo_mpi.run import freshness
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.hdf5 import Table


def run(run: Run, force: bool = False) -> None:
    """Write V-information per checkpoint, and the temporal score."""
    provenance = freshness.provenance(run, "dynamics", "vinfo-results")
    if len(run.checkpoints) < 2:
        raise NotApplicable("dynamics needs several checkpoints, found one; train here, or name yours in network.checkpoints")
    pieces = run.pieces("dynamics", provenance["fingerprint"], force)
    with run.open_codes() as codes, run.open_every_activations() as every:
        fold = vinformation.fold_of_rows(run, codes, *every.values())
        sources = {name: Source(activations, activations.taps[-1]) for name, activations in every.items()}
        scores = vinformation.scores_of_each(run, pieces, sources, codes, fold)
        run.clock.bytes_read += codes.bytes_read + sum(activations.bytes_read for activations in every.values())
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
    run.ranks.on_root(store.update, run.results, "dynamics", tables, provenance)
    pieces.remove()
