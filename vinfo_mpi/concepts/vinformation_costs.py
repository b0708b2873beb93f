"""Costs of the V-information of all concepts; see `vinfo_mpi.concepts.vinformation`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vinfo_mpi.concepts.vinformation import BLOCKS_AHEAD, TOGETHER, rows_at_once, together
from vinfo_mpi.costs.formulas import NUMBER
from vinfo_mpi.costs.workload import Workload
from vinfo_mpi.networks.footprint import held
from vinfo_mpi.numerics import ridge
from vinfo_mpi.numerics.moments import Moments
from vinfo_mpi.parallel.ranks import LARGEST_COUNT


def memory(work: Workload, widths: Sequence[int], beside: int = 0, predictors: int = 1) -> float:
    """Return the bytes at taps, or branches, of so many channels.

    Parameters
    ----------
    beside : int
        Random features.
    predictors : int
        Each of which factorises for itself, before any of them solves.
    """
    n = work.sizes.n
    ids_and_folds = 2 * NUMBER * n
    peak = 8.0 * NUMBER * n  # sorting the ids of all images
    for group in read_together(work, widths, beside):
        taps = widths[group.start : group.stop]
        peak = max(peak, _memory_together(work, taps, beside, predictors))
    return ids_and_folds + peak


def host(work: Workload, widths: Sequence[int], beside: int = 0) -> float:
    """Return the bytes beside those on a device: rows that are read, sums on their way."""
    peak = 8.0 * NUMBER * work.sizes.n
    for group in read_together(work, widths, beside):
        taps = widths[group.start : group.stop]
        rows = (BLOCKS_AHEAD + 2) * held(_rows(work) * _row(work, taps))
        peak = max(peak, rows, _staged(work, max(taps) + beside))
    return 2 * NUMBER * work.sizes.n + peak


def read_together(work: Workload, widths: Sequence[int], beside: int) -> list[range]:
    """Return the taps, or branches, of which each pass over the rows reads some."""
    room = work.room or TOGETHER[work.device]
    return together(widths, work.config.score.folds, work.sizes.concepts, room, beside)


def _rows(work: Workload) -> int:
    """Return how many rows are added together."""
    return min(rows_at_once(work.config.machine.rows, work.device), work.images_of_rank)


def _row(work: Workload, taps: Sequence[int]) -> float:
    """Return the bytes of an image's code, and of what the taps have of it."""
    stored = np.dtype(work.config.extract.dtype).itemsize
    return NUMBER * work.sizes.concepts + stored * sum(taps)


def _staged(work: Workload, d: int) -> float:
    """Return the bytes of sums of a tap that are on their way to other ranks."""
    if work.ranks == 1:
        return 0.0
    return 4.0 * min(_scattered(work, d), NUMBER * LARGEST_COUNT)


def _scattered(work: Workload, d: int) -> float:
    """Return the bytes of the sums of a tap of which every rank gets its own concepts."""
    return float(NUMBER * work.sizes.concepts * work.config.score.folds * d)


def _received(work: Workload, d: int) -> float:
    """Return the bytes of a rank's part of them, and of pieces on their way: ours and MPI's."""
    whole = _scattered(work, d)
    return whole / work.ranks + 4 * min(whole, NUMBER * LARGEST_COUNT)


def _memory_together(work: Workload, taps: Sequence[int], beside: int, predictors: int) -> float:
    """Return the bytes at taps that are read together: of the largest of four steps."""
    k = work.sizes.concepts
    folds = work.config.score.folds
    concepts_of_rank = -(-k // work.ranks)
    d = max(taps) + beside
    families = [*taps, *(width + beside for width in taps if beside)]  # each has its own sums
    sums = sum(Moments.bytes(folds, width, k) for width in families)
    reduced = sum(Moments.bytes(folds, width, concepts_of_rank) for width in families)

    rows = _rows(work)
    add = sums + (BLOCKS_AHEAD + 2) * held(rows * _row(work, taps))
    add += 2 * held(NUMBER * rows * k) + 2 * held(NUMBER * rows * d)

    reduce: float = sums + Moments.bytes(folds, d, 0)
    if work.ranks > 1:
        reduce += _received(work, d)

    factor = NUMBER * (2 * d * d + d)
    factors_of_rank = predictors * -(-len(taps) * folds // work.ranks)
    factorise = reduced + factors_of_rank * factor + 8 * held(NUMBER * d * d)

    block = min(concepts_of_rank, max(1, ridge.BLOCK[work.device] // d))
    errors = reduced + (factors_of_rank + 1) * factor + 10 * held(NUMBER * block * d)
    return max(add, reduce, factorise, errors)


def operations(work: Workload, width: int) -> float:
    """Return the operations at a tap, or branch, of so many channels."""
    return sums(work, width) + solutions(work, width, splits(work))


def sums(work: Workload, width: int) -> float:
    """Return the operations of the moments of all images."""
    return 2.0 * work.sizes.n * width * (width + work.sizes.concepts)


def solutions(work: Workload, width: int, splits: int) -> float:
    """Return the operations of the regressions, from the sums, for so many training sets.

    Of each one covariance in its eigenbasis; of every concept two covariances there, and weights
    for each penalty.
    """
    products_of_concept = 2 + len(work.config.score.penalties)
    return splits * width**2 * (4.0 * width + 2.0 * work.sizes.concepts * products_of_concept)


def splits(work: Workload) -> int:
    """Return how many training sets there are."""
    options = work.config.score
    return len(ridge.splits(options.folds, options.estimator))


def sent(work: Workload, width: int) -> float:
    """Return the bytes that the ranks send at a tap, or branch, of so many channels."""
    moments = sent_moments(work, work.config.score.folds, width)
    return moments + sent_factors(work, width, splits(work))


def sent_moments(work: Workload, folds: int, d: int) -> float:
    """Return the bytes of the sums over all images.

    On all ranks n, x, z, z², x xᵀ; scattered over the ranks z xᵀ.
    """
    k = work.sizes.concepts
    return work.sent(folds * (1 + d + 2 * k + d * d) + k * folds * d)


def sent_factors(work: Workload, d: int, splits: int) -> float:
    """Return the bytes of diagonalised covariances, each sent by one rank to all others."""
    return NUMBER * splits * (d + 2.0 * d * d) if work.ranks > 1 else 0.0
