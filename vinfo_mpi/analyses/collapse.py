"""Do the features of each class collapse to a point, and the classes to a simplex?

Neural collapse of the last tap at every checkpoint: NC1 to NC4, and the variance of classes
relative to their distances.

mpirun -n 8 python -m vinfo_mpi.analyses.collapse
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("collapse", __doc__)

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from vinfo_mpi.costs.formulas import NUMBER
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.numerics import collapse, folds
from vinfo_mpi.numerics.arrays import error_of_share
from vinfo_mpi.numerics.collapse import Centres, Scatter
from vinfo_mpi.numerics.complexity import jackknife
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema_collapse import (
    COLLAPSE,
    COLLAPSE_CHECKPOINTS,
    NC1,
    NC4,
    OF_FOLDS,
)
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader

FOLDS = 5  # parts of the images that are left out in turn, for the standard errors


def measure_collapse(run: Run, part: Part) -> None:
    """Write how far the classes have collapsed at the last tap of every checkpoint."""
    measured = []
    for checkpoint in run.progress(run.checkpoints, "collapse: checkpoints"):
        with run.open_activations(checkpoint) as activations:
            activations.require_labels("collapse")
            measure = partial(_measure, run, activations)
            measured.append(part.partial_results.get(checkpoint.name, measure))
            run.safe_point()
    part.partial_results.log_reused("checkpoints")
    epochs = [checkpoint.epoch for checkpoint in run.checkpoints]
    datasets: dict[Dataset, Any] = {COLLAPSE_CHECKPOINTS: epochs}
    for dataset in COLLAPSE:
        for each in (dataset, dataset.se.filled(folds=str(FOLDS))):
            datasets[each] = np.array([of_epoch[each.column] for of_epoch in measured])
    log.info("collapse: NC1 %.3f at epoch %d, %.3f at epoch %d",
             datasets[NC1][0], epochs[0], datasets[NC1][-1], epochs[-1])  # fmt: skip
    part.write(datasets)


def costs(work: Workload) -> Costs:
    """Return what sums of features by class, and of products by fold, take."""
    sizes = work.sizes
    d = list(sizes.widths.values())[-1]
    classes = max(len(sizes.classes), sizes.outputs)
    by_class = classes * FOLDS * (d + 1)
    sums = by_class + FOLDS * d**2 + classes * FOLDS
    return Costs(
        # Beside the sums those of fewer images, a decomposition, rows and what is left of them.
        memory=NUMBER * (2 * sums + 3 * d**2 + 4 * classes * (d + classes))
        + 4 * NUMBER * work.rows * (d + classes),
        operations=sizes.checkpoints * 2.0 * sizes.n * d * (d + classes),
        sent=work.sent(sizes.checkpoints * (sums + 1)),
    )


def _measure(run: Run, activations: ActivationReader) -> dict[str, np.ndarray]:
    """Return the measures of a checkpoint and their standard errors, by column: numbers."""
    rows = _Rows(run, activations)
    centres = Centres(rows.classes, FOLDS, rows.d, run.device)
    for x, labels, _, fold in rows:
        centres.add(x, labels, _indices(run, fold))
    with run.clock.phase("communicate"):
        centres.reduced(run.ranks.sum)
    there = centres.sums[:, :, -1].sum(1) > 0
    if int(there.sum()) < 2:
        raise NotApplicable("collapse compares classes, and all images analysed are of one")
    scatter = Scatter(centres)
    elsewhere = torch.zeros(1, dtype=torch.float64, device=run.device)
    for x, labels, prediction, fold in rows:
        rows_of_fold = [_indices(run, np.flatnonzero(fold == number)) for number in range(FOLDS)]
        scatter.add(x, labels, rows_of_fold)
        elsewhere += (collapse.nearest(x, scatter.means, there) != prediction).sum()
    with run.clock.phase("communicate"):
        scatter.reduced(run.ranks.sum)
        run.ranks.sum(elsewhere)
    return _of_folds(run, activations, scatter) | _nc4(elsewhere.item(), rows)


def _of_folds(run: Run, activations: ActivationReader, scatter: Scatter) -> dict[str, np.ndarray]:
    """Return the measures with all images, and their errors; ranks share out those without some."""
    weight = None
    if "head/weight" in activations:
        weight = run.tensor(activations.read("head/weight"))
    of_rank = {}
    with run.clock.phase("decompose"):
        for left_out in range(run.ranks.rank, FOLDS + 1, run.ranks.size):
            moments = scatter.without(left_out if left_out < FOLDS else None)
            of_rank[left_out] = collapse.measure(moments, weight)
    without = run.ranks.union(of_rank)
    measured = {}
    for dataset in OF_FOLDS:
        values = np.array([without[fold][dataset.column] for fold in range(FOLDS)])
        measured[dataset.column] = np.asarray(without[FOLDS][dataset.column])
        measured[dataset.se.column] = np.asarray(jackknife(values))
    return measured


def _nc4(elsewhere: float, rows: _Rows) -> dict[str, np.ndarray]:
    """Return the share of images that lie nearest to another class, and its standard error."""
    share = elsewhere / rows.n if rows.classifies else np.nan
    return {NC4.column: np.asarray(share), NC4.se.column: error_of_share(share, rows.n)}


class _Rows:
    """Images of a rank, block by block: features of the last tap, labels, predictions, folds."""

    def __init__(self, run: Run, activations: ActivationReader) -> None:
        self.run = run
        self.activations = activations
        self.path = f"taps/{activations.taps[-1]}/activations"
        self.n, self.d = activations.shape(self.path)
        self.labels = activations.read("samples/label")
        self.predictions = activations.read("samples/prediction")
        self.classifies = bool((self.predictions >= 0).all())
        self.classes = max(len(activations.classes), activations.shape("outputs")[1])
        self.fold = folds.assign(activations.ids_of_originals(), self.labels, FOLDS)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor, np.ndarray]]:
        for block in batches(self.run.ranks.block(self.n), self.run.config.machine.rows):
            with self.run.clock.phase("read"):
                x = self.run.tensor(self.activations.read(self.path, block))
            here = slice(block.start, block.stop)
            labels = _indices(self.run, self.labels[here])
            yield x, labels, _indices(self.run, self.predictions[here]), self.fold[here]


def _indices(run: Run, numbers: np.ndarray) -> torch.Tensor:
    """Return numbers of classes or rows on this rank's device: int64."""
    return torch.from_numpy(numbers).to(run.device)
