"""The choice of concepts that are visualised."""

from __future__ import annotations

import numpy as np

from vinfo_mpi.config.schema import Visualise
from vinfo_mpi.errors import InputError, NotApplicable
from vinfo_mpi.numerics.selection import by_complexity

DECILES = 10


def count(options: Visualise, concepts: int) -> int:
    """Return how many of so many concepts are visualised, at most.

    Raises
    ------
    InputError
        For numbers that no concept has.
    """
    if options.concepts is None:
        return min(concepts, 2 * options.extremes + DECILES * options.per_decile)
    if options.concepts == "all":
        return concepts
    last = max(options.concepts)
    if last >= concepts:
        raise InputError(
            f"visualise.concepts names concept {last}, but there are {concepts}, from 0 to "
            f"{concepts - 1}; leave it out, or raise the number of concepts of the dictionary"
        )
    return len(set(options.concepts))


def choose(options: Visualise, complexity: np.ndarray, seed: int) -> np.ndarray:
    """Return the numbers of the concepts that are visualised, ascending.

    Parameters
    ----------
    options : Visualise
        Names them, or says how many of the simplest, of the most complex and of every decile of the
        complexity.
    complexity : (K,) array
        NaN where a concept does not vary: only an explicit choice takes it.
    seed : int
        Of the sample of every decile.

    Raises
    ------
    InputError
        For numbers that no concept has.
    NotApplicable
        If none is left to choose.
    """
    count(options, len(complexity))
    if options.concepts == "all":
        return np.arange(len(complexity))
    if options.concepts is not None:
        return np.unique(options.concepts)
    order = by_complexity(complexity)
    if not len(order):
        raise NotApplicable(
            "no concept varies over the images: there are no extremes to visualise; "
            "name visualise.concepts"
        )
    random = np.random.default_rng(seed)
    samples = [
        random.choice(decile, min(options.per_decile, len(decile)), replace=False)
        for decile in np.array_split(order, DECILES)
    ]
    simplest = order[: options.extremes]
    most_complex = order[max(0, len(order) - options.extremes) :]
    return np.unique(np.concatenate([simplest, most_complex, *samples]))
