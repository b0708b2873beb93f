"""Settling of features: where in the network, and when, the final concepts become available.

And what the concepts of earlier checkpoints are like, found in each as in the final network.

mpirun -n 8 python -m vinfo_mpi.analyses.sedimentation
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("sedimentation", __doc__)

import numpy as np

from vinfo_mpi.concepts import vinformation, vinformation_costs
from vinfo_mpi.concepts.vinformation import Source
from vinfo_mpi.config.schema import Sedimentation
from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.numerics import bootstrap, correlation
from vinfo_mpi.numerics.arrays import stack_padded, standard_error
from vinfo_mpi.numerics.selection import most_important
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import CLASS, COMPLEXITY, IMPORTANCE
from vinfo_mpi.results.schema_sedimentation import (
    GRID,
    GRID_CHECKPOINTS,
    MEAN_COMPLEXITY,
    MEAN_PARTS,
    OWN_ACCURACY,
    OWN_COMPLEXITY,
    OWN_CORRELATION,
    OWN_EPOCHS,
    OWN_IMPORTANCE,
    OWN_PREDICTIONS_KEPT,
    OWN_RELATIVE_ERROR,
    TOP_COMPLEXITY,
)
from vinfo_mpi.run.applicable import require_classifier
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.hdf5 import read_table

# The stages that find and describe the concepts of a checkpoint.
REPEATED = ("dictionary", "encode", "score", "importance")


def measure_sedimentation(run: Run, part: Part) -> None:
    """Write where and when the final concepts are available, and what each epoch's own are like."""
    require_classifier(run, "sedimentation")
    checkpoints = [checkpoint for checkpoint in run.checkpoints if run.keeps_map(checkpoint)]
    if len(checkpoints) < 2:
        raise NotApplicable(
            "sedimentation needs the unpooled last tap of several checkpoints, and that is kept of "
            f"{len(checkpoints)} of {len(run.checkpoints)}; set extract.maps: all, or a list of "
            "epochs"
        )
    with run.open_activations(run.final) as activations:
        activations.require_labels("sedimentation")
    grid = _grid(run, part)
    for checkpoint in checkpoints:
        _find_concepts(run, part, checkpoint)
    curves = _describe_all(run, checkpoints)
    mean = curves[MEAN_COMPLEXITY]
    top = curves[TOP_COMPLEXITY]
    log.info("sedimentation: mean complexity %.3f at epoch %d, %.3f at epoch %d; "
             "of the most important %.3f and %.3f",
             mean[0], checkpoints[0].epoch, mean[-1], checkpoints[-1].epoch,
             top[0], top[-1])  # fmt: skip
    part.write(
        {
            GRID_CHECKPOINTS: [checkpoint.epoch for checkpoint in run.checkpoints],
            GRID: grid,
            OWN_EPOCHS: [checkpoint.epoch for checkpoint in checkpoints],
            **curves,
        }
    )


def costs(work: Workload) -> Costs:
    """Return what the grid, and what finding and describing the checkpoints' concepts take."""
    checkpoints = work.sizes.checkpoints
    again = work.sizes.maps - 1  # the concepts of the final network are the run's
    widths = list(work.sizes.widths.values())
    config = work.config.without_positions()
    repeated = {stage: work.costs_of(stage, config) for stage in REPEATED}
    memory = [stage.memory for stage in repeated.values()]
    memory.append(vinformation_costs.memory(work, widths * checkpoints))
    host = [stage.beside_device for stage in repeated.values()]
    host.append(vinformation_costs.host(work, widths * checkpoints))
    of_grid = sum(vinformation_costs.operations(work, width) for width in widths)
    find = sum(repeated[stage].operations for stage in ("dictionary", "encode", "score"))
    grid_sent = sum(vinformation_costs.sent(work, width) for width in widths)
    stages_sent = sum(stage.sent for stage in repeated.values())
    grid = formulas.results(work, checkpoints * len(widths))
    return Costs(
        memory=max(memory),
        host=max(host),
        operations=again * find + checkpoints * of_grid,
        sent=checkpoints * grid_sent + again * stages_sent,
        disk={"sedimentation": again * (_disk_of_checkpoint(work) + grid["results"]), **grid},
    )


def _disk_of_checkpoint(work: Workload) -> float:
    """Return the bytes of dictionary, codes and results of one checkpoint.

    Its results count as the run's do, though it has no dynamics and no flow.
    """
    stages = (*REPEATED, "dynamics", "flow")
    config = work.config.without_positions()
    return sum(sum(work.costs_of(stage, config).disk.values()) for stage in stages)


def _grid(run: Run, part: Part) -> np.ndarray:
    """Return the V-information from every tap of every checkpoint: (E, L, K)."""
    with run.open_codes() as codes, run.open_all_activations() as files:
        fold = vinformation.fold_of_rows(run, codes, *files.values())
        sources = {
            f"{name}.{tap}": Source(activations, tap)
            for name, activations in files.items()
            for tap in activations.taps
        }
        scores = vinformation.scores_of_sources(run, part.partial_results, sources, codes, fold)
    grid = np.stack([of_source.r2 for of_source in scores])
    return grid.reshape(len(run.checkpoints), -1, grid.shape[1])


def _find_concepts(run: Run, part: Part, checkpoint: Checkpoint) -> None:
    """Bring dictionary, codes, complexity and importance of its own concepts up to date."""
    view = run.at(checkpoint)
    view.config = run.config.without_positions()
    for stage in REPEATED:
        run.safe_point()
        part.bring_up_to_date(view, stage)


def _describe_all(run: Run, checkpoints: list[Checkpoint]) -> dict[Dataset, np.ndarray]:
    """Return what `_describe` does of every checkpoint, on all ranks: (E,) or (E, K) arrays."""
    options = run.config.sedimentation

    def describe() -> list[dict[Dataset, np.ndarray]]:
        return [_describe(run.at(checkpoint), options) for checkpoint in checkpoints]

    described = run.ranks.on_root(describe)
    return {
        dataset: stack_padded([of_checkpoint[dataset] for of_checkpoint in described])
        for dataset in described[0]
    }


def _describe(view: Run, options: Sedimentation) -> dict[Dataset, np.ndarray]:
    """Return complexity and importance of the concepts of one checkpoint, and the curves."""

    def read(dataset: Dataset) -> np.ndarray:
        return read_table(view.results, "vinfo-results", dataset.name)

    complexity = read(COMPLEXITY)
    importance = read(IMPORTANCE)
    with view.open_activations(view.final) as activations:
        right = activations.read("samples/prediction") == activations.read("samples/label")
    with view.open_codes() as codes:
        relative_error = codes.attributes["relative_error"]
        predictions_kept = codes.attributes["predictions_kept"]
    cluster = read(CLASS)
    correlated = correlation.spearman(complexity, importance, cluster=cluster)
    top = most_important(complexity, importance, options.important, options.at_least)
    described = {
        OWN_COMPLEXITY: complexity,
        OWN_IMPORTANCE: importance,
        OWN_CORRELATION: np.asarray(correlated.value),
        OWN_CORRELATION.se: np.asarray(correlated.standard_error),
        OWN_ACCURACY: np.asarray(right.mean()),
        OWN_ACCURACY.se: standard_error(right),
        OWN_RELATIVE_ERROR: np.asarray(relative_error),
        OWN_PREDICTIONS_KEPT: np.asarray(predictions_kept),
    }
    averaged = {
        MEAN_COMPLEXITY: bootstrap.mean(complexity, cluster),
        **{mean: bootstrap.mean(read(part_of), cluster) for part_of, mean in MEAN_PARTS.items()},
        TOP_COMPLEXITY: bootstrap.mean(complexity[top], cluster[top]),
    }
    for dataset, mean in averaged.items():
        described[dataset] = np.asarray(mean.value)
        described[dataset.se] = np.asarray(mean.standard_error)
    return described
