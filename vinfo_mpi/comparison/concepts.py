"""Concepts of a network at the layers of another, and their partners among the other's concepts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from vinfo_mpi.comparison.study import Study
from vinfo_mpi.concepts import vinformation
from vinfo_mpi.concepts.vinformation import Source
from vinfo_mpi.numerics import matching
from vinfo_mpi.numerics.complexity import complexity, jackknife
from vinfo_mpi.numerics.matching import CodeSums, Correlations
from vinfo_mpi.numerics.ridge import Scores
from vinfo_mpi.parallel.partition import batches


@dataclass(frozen=True)
class There:
    """The K concepts of a run at the L taps of another network.

    Attributes
    ----------
    vinformation : (L, K) float64 array
        By the linear predictor, with the folds and penalties of the concepts' own run.
    complexity, standard_error : (K,) float64 array
        One minus its mean over the taps, with the jackknife's error over the folds.
    """

    vinformation: np.ndarray
    complexity: np.ndarray
    standard_error: np.ndarray


@dataclass(frozen=True)
class Matches:
    """The partner of each of K concepts among another run's.

    Attributes
    ----------
    partner : (K,) int64 array
        Whose codes correlate most over the images; -1 where none varies.
    correlation : (K,) float64 array
    partner_within, correlation_within : arrays
        The same with the means of the classes taken off: concepts of a class are alike whatever
        they show.
    mutual : (K,) bool array
        Whether the concept is its partner's partner.
    """

    partner: np.ndarray
    correlation: np.ndarray
    partner_within: np.ndarray
    correlation_within: np.ndarray
    mutual: np.ndarray


def concepts_there(concepts: Study, layers: Study) -> There:
    """Return V-information and complexity of a run's concepts at the taps of another's network."""
    run = concepts.run
    fold = vinformation.fold_of_rows(run, concepts.codes, layers.activations, concepts.activations)
    sources = [Source(layers.activations, tap) for tap in layers.activations.taps]
    widths = [source.width for source in sources]
    scores: list[Scores] = []
    folds = run.config.score.folds
    groups = vinformation.together(widths, folds, concepts.concepts, vinformation.room(run))
    for group in groups:
        some = sources[group.start : group.stop]
        moments = vinformation.moments_of(run, some, concepts.codes, fold)
        scores += vinformation.scores(run, moments)
        run.safe_point()
    r2 = np.stack([at_tap.r2 for at_tap in scores])
    without = np.stack([at_tap.without for at_tap in scores])
    return There(r2, complexity(r2), jackknife(complexity(without)))


def matches(first: Study, second: Study) -> tuple[Matches, Matches]:
    """Return the partners of one run's concepts in the other, and the other way round."""
    parts = [_correlations(first, second, columns) for columns in _columns(first, second)]
    whole = np.concatenate([part.whole for part in parts])
    within = np.concatenate([part.within_classes for part in parts])
    return _matches(whole, within), _matches(whole.T, within.T)


def _matches(whole: np.ndarray, within: np.ndarray) -> Matches:
    partner, correlation = matching.best(whole)
    back, _ = matching.best(whole.T)
    mutual = (partner >= 0) & (back[partner] == np.arange(len(partner)))
    return Matches(partner, correlation, *matching.best(within), mutual)


def _columns(first: Study, second: Study) -> list[range]:
    """Return which of the first run's concepts are worked on together: as many as have room."""
    of_concept = CodeSums.bytes(_classes(first), 1, second.concepts)
    at_once = int(vinformation.room(first.run)) // of_concept
    return batches(range(first.concepts), max(1, at_once))


def _correlations(first: Study, second: Study, columns: range) -> Correlations:
    """Return the correlations of some of one run's concepts with all of the other's."""
    run = first.run
    sums = CodeSums(_classes(first), len(columns), second.concepts, run.device)
    for rows in batches(run.ranks.block(first.images), run.config.machine.rows):
        codes = first.codes.read("codes", rows)[:, columns.start : columns.stop]
        others = run.tensor(second.codes.read("codes", rows))
        labels = torch.from_numpy(first.activations.read("samples/label", rows)).to(run.device)
        sums.add(run.tensor(np.ascontiguousarray(codes)), others, labels)
    run.safe_point()
    return sums.correlations(run.ranks.sum)


def _classes(study: Study) -> int:
    return len(study.activations.classes)
