"""Costs of scoring concepts with all predictors; see `vinfo_mpi.concepts.predictors`."""

from __future__ import annotations

from vinfo_mpi.concepts import class_sums, predictors, vinformation_costs
from vinfo_mpi.config.schema import Score
from vinfo_mpi.costs.workload import Workload
from vinfo_mpi.numerics import ridge


def operations(work: Workload, d: int) -> float:
    """Return the operations at a tap of `d` channels."""
    options = work.config.score
    count = sum(vinformation_costs.sums(work, width) for width in _widths(options, d).values())
    for width, splits in _regressions(options, d):
        count += vinformation_costs.solutions(work, width, splits)
    if options.beside:
        count += 2.0 * work.sizes.n * d * options.random_features
    if predictors.look_at_classes(options):
        count += class_sums.operations(work, d)
    return count


def sent(work: Workload, d: int) -> float:
    """Return the bytes sent at a tap of `d` channels."""
    options = work.config.score
    moments = sum(
        vinformation_costs.sent_moments(work, options.folds, width)
        for width in _widths(options, d).values()
    )
    factors = sum(
        vinformation_costs.sent_factors(work, width, splits)
        for width, splits in _regressions(options, d)
    )
    return moments + factors


def _widths(options: Score, d: int) -> dict[str, int]:
    """Return the channels of all families whose moments are gathered at a tap of `d` channels.

    The moments of a family serve every estimator; those by class follow from the linear ones.
    """
    random = {"random-features": d + options.random_features} if options.beside else {}
    return {"linear": d} | random


def _regressions(options: Score, d: int) -> list[tuple[int, int]]:
    """Return channels and training sets of every predictor at a tap of `d` channels."""
    described = [predictors.described(options, name) for name in predictors.names(options)]
    if predictors.has_half(options):
        described.append((options.family, "held-out"))
    widths = _widths(options, d)
    return [
        (widths.get(family, d), len(ridge.splits(options.folds, estimator)))
        for family, estimator in described
    ]
