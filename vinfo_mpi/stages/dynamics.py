"""When each concept is learned: V-information from every checkpoint to the final codes."""

from __future__ import annotations

import numpy as np

from vinfo_mpi.concepts import vinformation, vinformation_costs
from vinfo_mpi.concepts.vinformation import Source
from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.numerics import complexity as numerics
from vinfo_mpi.results.schema import (
    DYNAMICS_CHECKPOINTS,
    DYNAMICS_VINFORMATION,
    FORGOTTEN,
    LEARNED_LATE,
    TEMPORAL,
    UNLEARNED,
)
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run


def score_checkpoints(run: Run, part: Part) -> None:
    """Write V-information per checkpoint, the temporal score and its parts."""
    if len(run.checkpoints) < 2:
        raise NotApplicable(
            "dynamics needs several checkpoints, found one; train here, or name yours in "
            "network.checkpoints"
        )
    with run.open_codes() as codes, run.open_all_activations() as activations_of:
        fold = vinformation.fold_of_rows(run, codes, *activations_of.values())
        sources = {
            name: Source(activations, activations.taps[-1])
            for name, activations in activations_of.items()
        }
        scores = vinformation.scores_of_sources(run, part.partial_results, sources, codes, fold)
    epochs = np.array([checkpoint.epoch for checkpoint in run.checkpoints])
    weights = numerics.epoch_weights(epochs)
    counts = weights > 0  # the untrained network is shown, but is not an epoch of the training
    weights = weights[counts]
    r2 = np.stack([of_checkpoint.r2 for of_checkpoint in scores])  # (E, K)
    without = np.stack([of_checkpoint.without for of_checkpoint in scores])  # (E, F, K)
    parts = numerics.parts(r2[counts], weights)
    errors = numerics.standard_errors(without[counts], weights)
    part.write(
        {
            DYNAMICS_CHECKPOINTS: epochs,
            DYNAMICS_VINFORMATION: r2,
            DYNAMICS_VINFORMATION.se: np.stack([numerics.jackknife(each) for each in without]),
            TEMPORAL: numerics.complexity(r2[counts], weights),
            TEMPORAL.se: numerics.jackknife(numerics.complexity(without[counts], weights)),
            UNLEARNED: parts.unreadable,
            UNLEARNED.se: errors.unreadable,
            LEARNED_LATE: parts.late,
            LEARNED_LATE.se: errors.late,
            FORGOTTEN: parts.discarded,
            FORGOTTEN.se: errors.discarded,
        }
    )


def costs(work: Workload) -> Costs:
    """Return what the V-information at the last tap of every checkpoint takes."""
    checkpoints = work.sizes.checkpoints
    if checkpoints < 2:
        return Costs()
    width = list(work.sizes.widths.values())[-1]
    return Costs(
        memory=vinformation_costs.memory(work, [width] * checkpoints),
        host=vinformation_costs.host(work, [width] * checkpoints),
        operations=checkpoints * vinformation_costs.operations(work, width),
        sent=checkpoints * vinformation_costs.sent(work, width),
        disk=formulas.results(work, 2 * checkpoints),
    )
