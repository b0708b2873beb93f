"""Predictors that concepts are scored with: family and estimator of each, by the name in results.

The main one is that of score.family and score.estimator; those of score.also differ from it by what
their name says.
"""

from __future__ import annotations

from typing import Literal

from vinfo_mpi.config.schema import Score
from vinfo_mpi.numerics import ridge
from vinfo_mpi.results.schema import BY_CLASS

MAIN = "main"


def names(options: Score) -> tuple[str, ...]:
    """Return the names of all predictors, the main one first."""
    return (MAIN, *options.also)


def described(options: Score, name: str) -> tuple[str, Literal["held-out", "in-sample"]]:
    """Return family and estimator: the main ones, but for the one that the name gives."""
    family = name if name in ("linear", "random-features", *BY_CLASS) else options.family
    estimator = name if name in ("held-out", "in-sample") else options.estimator
    return family, estimator  # type: ignore[return-value]


def has_half(options: Score) -> bool:
    """Whether there are folds of which half can be left out."""
    return options.estimator == "held-out" and ridge.half_of_folds(options.folds) > 0


def look_at_classes(options: Score) -> bool:
    """Whether some of them need sums class by class."""
    return bool(set(BY_CLASS) & set(options.also))
