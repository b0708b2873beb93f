"""Score every concept: V-information at every tap of the final network, and complexity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from functools import partial
from typing import Literal

import numpy as np
import torch

from vinfo_mpi.concepts import vinformation
from vinfo_mpi.concepts.vinformation import Source
from vinfo_mpi.config.schema import Score
from vinfo_mpi.numerics import fourier, ridge
from vinfo_mpi.numerics.fourier import RandomFeatures
from vinfo_mpi.numerics.moments import Moments
from vinfo_mpi.numerics.ridge import Scores
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.results import store
from vinfo_mpi.run import freshness
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.hdf5 import Table, checked, fixed_width, open_checked
from vinfo_mpi.storage.rows import RowReader

MAIN = "main"
FIELDS = [field.name for field in fields(Scores)]
PILOT = 256  # rows from which the width of the random features is measured


def run(run: Run, force: bool = False) -> None:
    """Write V-information, complexity and their standard errors, for every family of predictors that is asked for."""
    provenance = freshness.provenance(run, "score", "vinfo-results")
    pieces = run.pieces("score", provenance["fingerprint"], force)
    options = run.config.score
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        taps = activations.taps
        fold = vinformation.fold_of_rows(run, codes, activations)
        sources = {tap: Source(activations, tap) for tap in taps}
        every = vinformation.of_each(run, pieces, sources, codes, partial(_at_taps, run, codes=codes, fold=fold), options.beside)
        run.clock.bytes_read += activations.bytes_read + codes.bytes_read
    found = {name: [Scores(*(one[f"{name} {field}"] for field in FIELDS)) for one in every] for name in [MAIN, *options.also]}
    alive, complexity = found[MAIN][0].alive, ridge.complexity(np.stack([one.r2 for one in found[MAIN]]))
    log.info("score: %d of %d concepts alive, mean complexity %.3f", alive.sum(), len(alive), np.nanmean(complexity))
    concept = ("concept",)
    with open_checked(run.dictionary, "vinfo-dictionary") as file:
        classes, names = checked(file, "class"), checked(file, "names") if "names" in file else None
    tables = {
        "taps": Table(fixed_width(taps), "names of the taps in forward order", axes=("tap",)),
        "concepts/class": Table(classes, "class whose images the atom was fitted to; -1: all", None, concept),
        "concepts/alive": Table(alive.astype(np.uint8), "1 where the concept varies over the images", None, concept),
    }
    if names is not None:
        tables["concepts/name"] = Table(names, "name of the concept", None, concept)
    for name, scores in found.items():
        family, estimator = _predictors(options, name)
        tables |= _tables(scores, f"{family}, {estimator}", "" if name == MAIN else f"predictors/{name}/")
    run.ranks.on_root(store.update, run.results, "score", tables, provenance)
    pieces.remove()


def _at_taps(run: Run, taps: list[Source], codes: RowReader, fold: torch.Tensor) -> Iterator[dict[str, np.ndarray]]:
    """Yield the scores at each of some taps with all predictors; the moments of a family serve every estimator."""
    moments = {"linear": vinformation.moments_of(run, taps, codes, fold)}
    scores = {}
    for name in [MAIN, *run.config.score.also]:
        family, estimator = _predictors(run.config.score, name)
        if family not in moments:
            features = [_random_features(run, tap, linear) for tap, linear in zip(taps, moments["linear"], strict=True)]
            moments[family] = vinformation.moments_of(run, taps, codes, fold, features)
        scores[name] = vinformation.scores(run, moments[family], estimator)
    for _ in taps:
        at_tap = {name: next(of_family) for name, of_family in scores.items()}
        yield {f"{name} {field}": getattr(one, field) for name, one in at_tap.items() for field in FIELDS}


def _predictors(options: Score, name: str) -> tuple[str, Literal["held-out", "in-sample"]]:
    """Return family and estimator: the main ones, with what the name says in the place of one of them."""
    family = name if name in ("linear", "random-features") else options.family
    estimator = name if name in ("held-out", "in-sample") else options.estimator
    return family, estimator  # type: ignore[return-value]


def _random_features(run: Run, tap: Source, moments: Moments) -> RandomFeatures:
    """Return random features of the standardised tap, the same on all ranks and for any number of them."""
    n, x, squares = moments.n.sum(), moments.x.sum(0), moments.xx.sum(0).diagonal()
    variance = (squares / n - (x / n).square()).clamp(min=0)
    std = torch.where(variance > ridge.CONSTANT * squares / n, variance, 0).sqrt()
    values = tap.file.file[tap.name]
    pilot = run.tensor(run.ranks.on_root(lambda: values[:: max(1, len(values) // PILOT)][:PILOT]))
    return fourier.make(x / n, std, pilot, run.config.score.random_features, run.config.seed)


def _tables(scores: list[Scores], how: str, prefix: str) -> dict[str, Table]:
    """Return what is written for one kind of predictors: under `prefix`, or in the main places without one."""
    values, concept, both = np.stack([one.r2 for one in scores]), ("concept",), ("tap", "concept")  # (L, K)
    error = vinformation.standard_error(np.stack([one.without for one in scores]))
    place = prefix or "concepts/"
    return {
        f"{prefix}vinformation": Table(values, f"V-information from tap to concept: {how} R²; NaN: no variance", "1", both),
        f"{prefix}penalty": Table(np.stack([one.penalty for one in scores]), "ridge penalty chosen, relative", "1", both),
        f"{place}complexity": Table(ridge.complexity(values), f"1 - mean V-information over the taps ({how})", "1", concept),
        f"{place}complexity_se": Table(error, "standard error of the complexity (jackknife over folds)", "1", concept),
    }
