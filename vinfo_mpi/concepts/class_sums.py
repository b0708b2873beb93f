"""Sums class by class at several taps, by all ranks together, from one more pass over the rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vinfo_mpi.concepts import vinformation_costs
from vinfo_mpi.concepts.vinformation import Source
from vinfo_mpi.costs.workload import Workload
from vinfo_mpi.numerics.class_sums import ClassSums
from vinfo_mpi.numerics.moments import Moments
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.rows import Rows


def at_taps(run: Run, taps: Sequence[Source], codes: Rows, fold: torch.Tensor) -> list[ClassSums]:
    """Return the sums over all ranks' images at every tap, for this rank's concepts.

    Parameters
    ----------
    run : Run
    taps : sequence of Source
        Of one file of activations, which holds the labels.
    codes : Rows
    fold : (n,) tensor
        Fold of each of this rank's rows.
    """
    images, concepts = codes.shape("codes")
    rows = run.ranks.block(images)
    labels = torch.from_numpy(taps[0].file.read("samples/label")).to(run.device)
    classes = int(labels.max()) + 1
    folds = run.config.score.folds

    def zeros(*shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=torch.float64, device=run.device)

    n = zeros(classes * folds)
    z = zeros(concepts, classes * folds)
    x = [zeros(classes * folds, tap.width) for tap in taps]
    cell = labels[rows.start : rows.stop] * folds + fold
    for block in batches(rows, run.config.machine.rows):
        of_block = cell[block.start - rows.start : block.stop - rows.start]
        n += torch.bincount(of_block, minlength=len(n))
        z.index_add_(1, of_block, run.tensor(codes.read("codes", block)).double().T)
        for sums, tap in zip(x, taps, strict=True):
            sums.index_add_(0, of_block, run.tensor(tap.file.read(tap.name, block)).double())
    run.ranks.sum(n)
    for sums in x:
        run.ranks.sum(sums)
    of_rank = run.ranks.reduce_scatter(z).view(-1, classes, folds)
    return [ClassSums(n.view(classes, folds), sums.view(classes, folds, -1), of_rank) for sums in x]


def memory(work: Workload, widths: Sequence[int]) -> float:
    """Return the bytes of the sums, and of the moments that are made of them, at all taps."""
    folds = work.config.score.folds
    concepts = work.sizes.concepts
    classes = len(work.sizes.classes)
    concepts_of_rank = -(-concepts // work.ranks)
    made = sum(Moments.bytes(folds, width, concepts_of_rank) for width in widths)
    return ClassSums.bytes(classes, folds, sum(widths), concepts) + 2 * made


def operations(work: Workload, width: int) -> float:
    """Return the operations of the moments that are made of the sums at a tap."""
    cells = len(work.sizes.classes) * work.config.score.folds
    return cells * width * (4.0 * width + 8.0 * work.sizes.concepts)


def sent(work: Workload, widths: Sequence[int]) -> float:
    """Return the bytes that the ranks send: of codes in every pass, of each tap once."""
    options = work.config.score
    passes = len(vinformation_costs.read_together(work, widths, options.beside))
    numbers = sum(widths) + passes * (1 + work.sizes.concepts)
    return work.sent(len(work.sizes.classes) * options.folds * numbers)
