"""Ridge regressions of all concepts, from moments, shared out among ranks.

Factorisations go to the ranks in turn, concepts in blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import torch

from vinfo_mpi.numerics import ridge
from vinfo_mpi.numerics.moments import Moments
from vinfo_mpi.numerics.ridge import Factor, Scores

if TYPE_CHECKING:
    from vinfo_mpi.parallel.ranks import Ranks
    from vinfo_mpi.parallel.single import Single

Learning = Callable[[Moments, int | None], tuple[Moments, int | None]]
Phase = Callable[[str], AbstractContextManager[None]]


def whole(moments: Moments, held_out: int | None) -> tuple[Moments, int | None]:
    """Return the moments as they are: what is not held out is learned from."""
    return moments, held_out


def untimed(phase: str) -> AbstractContextManager[None]:
    """Time nothing."""
    return nullcontext()


def scores(
    moments: Sequence[Moments],
    splits: Sequence[int | None],
    penalties: tuple[float, ...],
    ranks: Ranks | Single,
    learning: Learning = whole,
    phase: Phase = untimed,
) -> Iterator[Scores]:
    """Yield the scores of all concepts with each of several moments, on every rank.

    All are factorised at first.

    Parameters
    ----------
    moments : sequence of Moments
        Of all ranks' samples and this rank's concepts.
    splits : sequence of int or None
        What is held out in turn, from `ridge.splits`.
    penalties : tuple of float
        Ridge penalties to choose from.
    ranks : Ranks
    learning : function of moments and what is held out
        Gives those of them that are learned from and tested on, and which are held out now.
    phase : function of a name
        Times what is done within it.
    """
    pairs = [(moments_of_tap, split) for moments_of_tap in moments for split in splits]
    with phase("factorise"):
        factors = {
            number: ridge.factorise(*learning(*pairs[number]))
            for number in range(ranks.rank, len(pairs), ranks.size)
        }
    for tap, moments_of_tap in enumerate(moments):
        squared = []
        for number, split in enumerate(splits, start=tap * len(splits)):
            with phase("communicate"):
                factor = factors.pop(number, None)
                if factor is None:
                    factor = Factor.empty(moments_of_tap.x.shape[1], moments_of_tap.x.device)
                ranks.broadcast(factor.buffer, number % ranks.size)
            with phase("solve"):
                squared.append(ridge.errors(factor, *learning(moments_of_tap, split), penalties))
        of_rank = ridge.finish(torch.stack(squared), moments_of_tap, penalties)
        yield Scores(
            ranks.concatenate(of_rank.r2),
            ranks.concatenate(of_rank.penalty),
            ranks.concatenate(of_rank.without, axis=1),
            ranks.concatenate(of_rank.alive),
            ranks.concatenate(of_rank.variance),
        )
