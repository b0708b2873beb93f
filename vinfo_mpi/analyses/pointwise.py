"""Pointwise V-information: the images of which the last tap tells least, for each concept.

mpirun -n 8 python -m vinfo_mpi.analyses.pointwise
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("pointwise", __doc__)

from dataclasses import dataclass

import numpy as np
import torch

from vinfo_mpi.concepts import vinformation, vinformation_costs
from vinfo_mpi.concepts.vinformation import Source
from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.formulas import NUMBER
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.networks.footprint import held
from vinfo_mpi.numerics import pointwise, ridge
from vinfo_mpi.numerics.arrays import error_of_share
from vinfo_mpi.numerics.moments import Moments
from vinfo_mpi.numerics.pointwise import Hardest
from vinfo_mpi.numerics.ridge import Factor, Scores
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.results import schema_pointwise as schema
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.rows import RowReader


def find_hardest(run: Run, part: Part) -> None:
    """Write the images of each concept with the least pointwise V-information at the last tap."""
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        tap = Source(activations, activations.taps[-1])
        fold = vinformation.fold_of_rows(run, codes, activations)
        [moments] = vinformation.moments_of(run, [tap], codes, fold)
        [scores] = vinformation.scores(run, [moments], "held-out")
        of_rank = _predictors(run, moments, scores)
        rows = _Rows(run, tap, codes, fold, *_mean_and_variance(run, moments, scores))
        hardest = []
        for block in _blocks(run, of_rank, len(scores.r2)):
            hardest.append(rows.hardest(block, _gathered(run, of_rank, block)))
            run.safe_point()
        ids = activations.read("samples/id")
    gains = _joined(hardest, "gains")
    there = np.isfinite(gains)
    misled = np.where(scores.alive, _joined(hardest, "below") / len(ids), np.nan)
    log.info("pointwise: of %.1f %% of the images the last tap tells less than the mean code",
             100 * np.nanmean(misled))  # fmt: skip
    part.write(
        {
            schema.MISLED: misled,
            schema.MISLED.se: error_of_share(misled, len(ids)),
            schema.HARDEST_IMAGES: np.where(there, ids[_joined(hardest, "rows")], -1).T,
            schema.HARDEST_GAINS: np.where(there, gains, np.nan).T,
            schema.HARDEST_CODES: np.where(there, _joined(hardest, "codes"), np.nan).T,
        }
    )


def costs(work: Workload) -> Costs:
    """Return what the regressions at the last tap take, and a pass over it and the codes."""
    sizes = work.sizes
    width = list(sizes.widths.values())[-1]
    of_folds = NUMBER * work.config.score.folds * sizes.concepts * (width + 1)
    rows = held(NUMBER * work.rows * (width + 6.0 * sizes.concepts))
    factor = NUMBER * (2.0 * width**2 + width)
    memory = vinformation_costs.memory(work, [width]) + 2 * of_folds / work.ranks + factor
    # Covariances in their eigenbasis once more, weights into it and back, and what they predict.
    again = vinformation_costs.splits(work) * 4.0 * width**2 * (width + sizes.concepts)
    predicted = 2.0 * sizes.n * width * sizes.concepts
    return Costs(
        memory=memory + min(of_folds, work.room or vinformation.TOGETHER[work.device]) + rows,
        host=vinformation_costs.host(work, [width]) + 2 * of_folds,
        operations=vinformation_costs.operations(work, width) + again + predicted,
        sent=vinformation_costs.sent_moments(work, work.config.score.folds, width)
        + 2 * vinformation_costs.sent_factors(work, width, work.config.score.folds)
        + work.sent(sizes.concepts),
        disk=formulas.results(work, 2 + 3 * pointwise.IMAGES),
    )


def _joined(hardest: list[Hardest], name: str) -> np.ndarray:
    """Return what belongs to all concepts, from their blocks."""
    return np.concatenate([getattr(block, name).cpu().numpy() for block in hardest], axis=-1)


def _predictors(run: Run, moments: Moments, scores: Scores) -> torch.Tensor:
    """Return the predictors of this rank's concepts, for each fold held out: (F, k, d+1)."""
    block = run.ranks.block(len(scores.penalty))
    penalty = run.tensor(scores.penalty[block.start : block.stop])
    of_folds = []
    for held_out in range(moments.folds):
        if held_out % run.ranks.size == run.ranks.rank:
            factor = ridge.factorise(moments, held_out)
        else:
            factor = Factor.empty(moments.x.shape[1], moments.x.device)
        run.ranks.broadcast(factor.buffer, held_out % run.ranks.size)
        of_folds.append(pointwise.predictors(factor, moments, held_out, penalty))
    return torch.stack(of_folds)


def _blocks(run: Run, of_rank: torch.Tensor, concepts: int) -> list[range]:
    """Return the concepts whose predictors have room together."""
    folds, _, numbers = of_rank.shape
    each = NUMBER * folds * numbers
    return batches(range(concepts), max(1, int(vinformation.room(run) // each)))


def _gathered(run: Run, of_rank: torch.Tensor, block: range) -> torch.Tensor:
    """Return the predictors of a block of concepts, from the ranks that have them."""
    first = sum(run.ranks.allgather(of_rank.shape[1])[: run.ranks.rank])
    mine = of_rank[:, max(0, block.start - first) : max(0, block.stop - first)]
    return run.ranks.join(mine, axis=1)


def _mean_and_variance(
    run: Run, moments: Moments, scores: Scores
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return those of all codes, (K,) each; NaN is the variance of a concept that has none."""
    of_rank = moments.z.sum(0) / moments.n.sum()
    return run.ranks.join(of_rank), run.tensor(np.where(scores.alive, scores.variance, np.nan))


@dataclass
class _Rows:
    """Images of this rank: activations at a tap, folds, codes, and mean and variance of these."""

    run: Run
    tap: Source
    codes: RowReader
    fold: torch.Tensor
    mean: torch.Tensor
    variance: torch.Tensor

    def hardest(self, block: range, of_folds: torch.Tensor) -> Hardest:
        """Return the hardest images of a block of concepts, of all ranks' images."""
        run = self.run
        concepts = slice(block.start, block.stop)
        hardest = Hardest.empty(len(block), run.device)
        mine = run.ranks.block(self.codes.shape("codes")[0])
        for rows in run.progress(batches(mine, run.config.machine.rows), "pointwise: rows"):
            z = run.tensor(self.codes.read("codes", rows))[:, concepts]
            x = run.tensor(self.tap.file.read(self.tap.name, rows))
            of_rows = self.fold[rows.start - mine.start : rows.stop - mine.start]
            told = pointwise.predicted(x, of_rows, of_folds)
            of_mean = (z - self.mean[concepts]).square()
            gains = (of_mean - (z - told).square()) / self.variance[concepts]
            # Without variance there is no gain: such a concept has no hardest image.
            hardest.add(gains.nan_to_num(nan=torch.inf), z, rows.start)
        return hardest.join(run.ranks.join, run.ranks.sum)
