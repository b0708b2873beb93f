"""V-information of every concept at one tap, computed by all ranks together.

Rows stay on their rank: the moments are summed, the factorisations shared out, the concepts divided.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from vinfo_mpi.errors import InputError
from vinfo_mpi.numerics import folds, ridge
from vinfo_mpi.numerics.moments import Moments
from vinfo_mpi.numerics.ridge import Factor, Scores
from vinfo_mpi.parallel.division import batches
from vinfo_mpi.run import Run
from vinfo_mpi.storage.pieces import Pieces
from vinfo_mpi.storage.rows import RowReader

if TYPE_CHECKING:
    from vinfo_mpi.numerics.fourier import RandomFeatures

Estimator = Literal["held-out", "in-sample"]


def same_images(activations: RowReader, codes: RowReader) -> None:
    """Raise `InputError` unless row i of both files is the same image."""
    if not np.array_equal(activations.read("samples/id"), codes.read("samples/id")):
        raise InputError(
            f"{activations.path} and {codes.path} speak of different images (has the data set changed?); "
            "run vinfo_mpi.extract --force"
        )


def fold_of_rows(run: Run, activations: RowReader, codes: RowReader) -> torch.Tensor:
    """Return the fold of each of this rank's rows."""
    same_images(activations, codes)
    ids, labels = (activations.read(f"samples/{name}") for name in ("id", "label"))
    fold = folds.assign(ids, labels, run.config.score.folds, run.config.seed)
    rows = run.ranks.block(len(ids))
    return torch.from_numpy(fold[rows.start : rows.stop]).to(run.device)


def scores(run: Run, moments: Moments, turn: int, estimator: Estimator | None = None) -> Scores:
    """Return the scores of all concepts, on every rank, from this rank's moments.

    Parameters
    ----------
    moments : Moments
        From `moments_at`.
    turn : int
        Number of the tap: who factorises first goes round the ranks.
    estimator : str
        Default: score.estimator.
    """
    ranks, options = run.ranks, run.config.score
    penalties, held_out = tuple(options.penalties), ridge.splits(options.folds, estimator or options.estimator)

    with run.clock.phase("factorise"):
        owner = {split: (turn + number) % ranks.size for number, split in enumerate(held_out)}
        factors = {split: ridge.factorise(moments, split) for split in held_out if owner[split] == ranks.rank}
    squared = []
    for split in held_out:
        with run.clock.phase("communicate"):
            factor = factors.pop(split, None) or Factor.empty(moments.x.shape[1], run.device)
            ranks.broadcast(factor.buffer, owner[split])
        with run.clock.phase("solve"):
            squared.append(ridge.errors(factor, moments, split, penalties))
    mine, join = ridge.finish(torch.stack(squared), moments, penalties), ranks.concatenate
    return Scores(join(mine.r2), join(mine.penalty), join(mine.without, axis=1), join(mine.alive))


def at_tap(
    run: Run, pieces: Pieces, name: str, activations: RowReader, tap: str, codes: RowReader, fold: torch.Tensor, turn: int
) -> Scores:
    """Return the scores of all concepts at a tap: those that an ended job has left under a name, or new ones."""

    def make() -> dict[str, np.ndarray]:
        return asdict(scores(run, moments_at(run, activations, tap, codes, fold), turn))

    found = Scores(**pieces.get(name, make))
    run.safe_point()
    return found


def standard_error(without: np.ndarray) -> np.ndarray:
    """Return the jackknife error of a mean over taps or checkpoints: (L, F, K) to (K,)."""
    return ridge.jackknife(without.mean(0))


def moments_at(
    run: Run,
    activations: RowReader,
    tap: str,
    codes: RowReader,
    fold: torch.Tensor | None = None,
    features: RandomFeatures | None = None,
) -> Moments:
    """Return the moments of all rows at a tap, for this rank's concepts; one pass over this rank's rows.

    Parameters
    ----------
    activations, codes : RowReader
    tap : str
    fold : (n,) tensor
        Fold of each of this rank's rows; default: one fold of all rows, with float64 products whatever score.products is.
    features : RandomFeatures
        What to look at instead of the tap's own channels.
    """
    name = f"taps/{tap}/activations"
    n, d, concepts = *activations.shape(name), codes.shape("codes")[1]
    d += len(features.phases) if features else 0
    rows, count, products = run.ranks.block(n), run.config.score.folds, getattr(torch, run.config.score.products)
    if fold is None:
        fold, count, products = torch.zeros(len(rows), dtype=torch.int64, device=run.device), 1, torch.float64
    moments = Moments(count, d, concepts, run.device)
    for block in batches(rows, run.config.machine.rows):
        with run.clock.phase("read"):
            x, z = activations.read(name, block), codes.read("codes", block)
        with run.clock.phase("moments"):
            mine = fold[block.start - rows.start : block.stop - rows.start]
            vectors = torch.from_numpy(x).to(run.device)
            moments.add(features(vectors) if features else vectors, torch.from_numpy(z).to(run.device), mine, products)
    with run.clock.phase("communicate"):
        return moments.reduced(run.ranks.sum, run.ranks.sum_scatter, run.ranks.block(concepts))
