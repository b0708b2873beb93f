"""The findings of a comparison, in sentences with numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from vinfo_mpi.comparison.concepts import Matches, There
from vinfo_mpi.comparison.study import Study
from vinfo_mpi.figures.style import number
from vinfo_mpi.numerics import bootstrap
from vinfo_mpi.numerics.bootstrap import Estimate
from vinfo_mpi.results.schema import CLASS, COMPLEXITY

CLOSE = 0.7  # correlation within classes from which on two concepts count as the same

Labels = tuple[str, str]


@dataclass
class Comparison:
    """Several runs and what there is to say of every pair, by the runs' labels.

    Attributes
    ----------
    studies : list of Study
    layers : dict of (L, M) arrays
        Debiased CKA of the layers; also of a run with itself.
    there : dict of There
        Concepts of the first at the layers of the second.
    matches : dict of Matches
        Partners of the concepts of the first among those of the second.
    differences : dict of dict of Estimate
        Of the second less the first, by column.
    """

    studies: list[Study]
    layers: dict[Labels, np.ndarray] = field(default_factory=dict)
    there: dict[Labels, There] = field(default_factory=dict)
    matches: dict[Labels, Matches] = field(default_factory=dict)
    differences: dict[Labels, dict[str, Estimate]] = field(default_factory=dict)

    @property
    def pairs(self) -> list[tuple[Study, Study]]:
        """Every two runs."""
        return list(combinations(self.studies, 2))


def sentences(comparison: Comparison, first: Study, second: Study) -> list[str]:
    """Return what to say of a pair, a sentence each."""
    lines = [_layers(comparison, first.label, second.label)]
    for study, other in ((first, second.label), (second, first.label)):
        lines.append(_there(comparison, study, other))
        lines.append(_matched(comparison.matches[study.label, other], study.label, other))
    estimates = comparison.differences[first.label, second.label]
    return lines + _different(estimates, first.label, second.label)


def _layers(comparison: Comparison, first: str, second: str) -> str:
    cka = comparison.layers[first, second]
    nearest = cka.argmax(1)
    depth = np.corrcoef(np.arange(len(cka)), nearest)[0, 1] if np.ptp(nearest) else np.nan
    order = (
        "" if np.isnan(depth) else f"; the nearest layer lies deeper with depth (r {depth:+.2f})"
    )
    return (
        f"Last layers of {first} and {second}: CKA {cka[-1, -1]:.2f}; nearest layers "
        f"{cka.max(1).min():.2f} to {cka.max(1).max():.2f}{order}."
    )


def _there(comparison: Comparison, study: Study, other: str) -> str:
    """Say how complex a run's concepts are for the other network."""
    there = comparison.there[study.label, other]
    home = study.results.read(COMPLEXITY)
    of_class = study.results.read(CLASS)
    at_home = bootstrap.mean(home, of_class)
    away = bootstrap.mean(there.complexity, of_class)
    change = bootstrap.mean(there.complexity - home, of_class)
    return (
        f"Concepts of {study.label}: mean complexity {number(at_home.value)} by its own layers, "
        f"{number(away.value)} by those of {other} "
        f"({number(change.value, change.standard_error)}, over {change.over}); V at the last layer "
        f"of {other} {np.nanmean(there.vinformation[-1]):.2f}."
    )


def _matched(matches: Matches, label: str, other: str) -> str:
    alive = matches.partner >= 0
    close = matches.correlation_within[alive] > CLOSE
    return (
        f"Of {alive.sum()} concepts of {label}, {close.sum()} have one in {other} with a "
        f"correlation above {CLOSE} within classes (median {_median(matches.correlation_within)}; "
        f"over all images, where concepts of a class are alike whatever they show, "
        f"{_median(matches.correlation)}); {matches.mutual.sum()} are each other's best."
    )


def _different(estimates: dict[str, Estimate], first: str, second: str) -> list[str]:
    return [
        f"Mean {name} of {second} less that of {first}: "
        f"{number(estimate.value, estimate.standard_error)} (over {estimate.over})."
        for name, estimate in estimates.items()
    ]


def _median(values: np.ndarray) -> str:
    values = values[~np.isnan(values)]
    return f"{np.median(values):.2f}" if len(values) else "none"
