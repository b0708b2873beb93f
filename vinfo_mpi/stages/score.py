"""Score every concept: V-information at every tap, complexity and its parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from vinfo_mpi.concepts import (
    class_sums,
    predictors,
    predictors_costs,
    vinformation,
    vinformation_costs,
)
from vinfo_mpi.concepts.random_features import random_features
from vinfo_mpi.concepts.vinformation import Source
from vinfo_mpi.config.schema import Score
from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.numerics import complexity as numerics
from vinfo_mpi.numerics import ridge
from vinfo_mpi.numerics.moments import Moments
from vinfo_mpi.numerics.occurrence import Occurrence
from vinfo_mpi.numerics.ridge import Scores
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.facts import facts_of
from vinfo_mpi.results.reliability import warnings_about
from vinfo_mpi.results.schema import (
    ALIVE,
    BETWEEN_CLASSES,
    BY_CLASS,
    CLASS,
    CODE_VARIANCE,
    COMPLEXITY,
    COMPLEXITY_HALF,
    COMPLEXITY_LIMIT,
    EFFECTIVE_CONCEPTS,
    ENERGY,
    FIRING_RATE,
    IMAGES,
    LAST_TAP,
    NAME,
    OF_CURVES,
    OUTLIER_SEVERITY,
    PENALTY,
    TAPS,
    VINFORMATION,
    WARNINGS,
    predictor,
)
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader
from vinfo_mpi.storage.hdf5 import checked, open_checked
from vinfo_mpi.storage.rows import RowReader

HALF = "half"  # of the images
SEVERITY = "outlier severity"
FIELDS = [field.name for field in fields(Scores)]
# Numbers per concept in results.h5 that do not grow with taps, checkpoints or branches.
COLUMNS = 21

Arrays = Mapping[str, np.ndarray]


def score_concepts(run: Run, part: Part) -> None:
    """Write V-information, complexity and standard errors, for every predictor asked for."""
    options = run.config.score
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        taps = activations.taps
        fold = vinformation.fold_of_rows(run, codes, activations)
        sources = {tap: Source(activations, tap) for tap in taps}
        score = partial(_score_taps, run, codes=codes, fold=fold)
        at_taps = vinformation.for_each_source(
            run, part.partial_results, sources, codes, score, options.beside
        )
        occurrence = _occurrence(run, activations, codes)
    main = _scores(at_taps, predictors.MAIN)
    alive = main[0].alive
    complexity = numerics.complexity(np.stack([scores.r2 for scores in main]))
    log.info("score: %d of %d concepts alive, mean complexity %.3f",
             alive.sum(), len(alive), np.nanmean(complexity))  # fmt: skip
    last = main[-1]
    datasets: dict[Dataset, Any] = {
        TAPS: taps,
        ALIVE: alive,
        CODE_VARIANCE: last.variance,
        LAST_TAP: last.r2,
        LAST_TAP.se: numerics.jackknife(last.without),
        FIRING_RATE: occurrence.firing_rate().cpu(),
        BETWEEN_CLASSES: occurrence.between_classes().cpu(),
        EFFECTIVE_CONCEPTS: occurrence.effective_concepts().cpu(),
        OUTLIER_SEVERITY: [at_tap[SEVERITY] for at_tap in at_taps],
    }
    datasets |= _of_dictionary(run, occurrence.mean().cpu().numpy())
    datasets |= _of_half(options, at_taps, int(occurrence.images.sum()))
    for name in predictors.names(options):
        family, estimator = predictors.described(options, name)
        how = f"{family}, {estimator}"
        for dataset, values in _datasets(_scores(at_taps, name), how).items():
            datasets[dataset if name == predictors.MAIN else predictor(name, dataset)] = values
    datasets[WARNINGS] = run.ranks.on_root(_warnings, run, datasets)
    part.write(datasets)


def costs(work: Workload) -> Costs:
    """Return what scoring takes."""
    widths = list(work.sizes.widths.values())
    columns = 3 * len(widths) * (1 + len(work.config.score.also)) + COLUMNS
    disk = formulas.results(work, columns)
    disk["results"] += 4 * formulas.FILE + 60 * formulas.DATASET
    half = predictors.has_half(work.config.score)
    learning = len(predictors.names(work.config.score)) + half
    memory = vinformation_costs.memory(work, widths, work.config.score.beside, learning)
    of_classes = Occurrence.bytes(len(work.sizes.classes), work.sizes.concepts)
    sent = sum(predictors_costs.sent(work, width) for width in widths)
    sent += work.sent(of_classes / formulas.NUMBER)
    if half:
        learned = 1 + ridge.half_of_folds(work.config.score.folds)
        concepts_of_rank = -(-work.sizes.concepts // work.ranks)
        memory += Moments.bytes(learned, max(widths) + work.config.score.beside, concepts_of_rank)
    if predictors.look_at_classes(work.config.score):
        memory += class_sums.memory(work, widths)
        sent += class_sums.sent(work, widths)
    return Costs(
        memory=memory,
        host=vinformation_costs.host(work, widths, work.config.score.beside),
        operations=sum(predictors_costs.operations(work, width) for width in widths),
        sent=sent,
        disk=disk,
    )


def _score_taps(
    run: Run, taps: list[Source], codes: RowReader, fold: torch.Tensor
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the scores at each of some taps with all predictors.

    The moments of a family serve every estimator.
    """
    moments = {"linear": vinformation.moments_of(run, taps, codes, fold)}
    scores = {}
    for name in predictors.names(run.config.score):
        family, estimator = predictors.described(run.config.score, name)
        if family in BY_CLASS and family not in moments:
            moments |= _by_class(run, taps, codes, fold, moments["linear"])
        if family not in moments:
            features = [
                random_features(run, tap, linear)
                for tap, linear in zip(taps, moments["linear"], strict=True)
            ]
            moments[family] = vinformation.moments_of(run, taps, codes, fold, features)
        scores[name] = vinformation.scores(run, moments[family], estimator)
    if predictors.has_half(run.config.score):
        scores[HALF] = vinformation.scores(
            run, moments[run.config.score.family], learning=ridge.half
        )
    for tap, linear in zip(taps, moments["linear"], strict=True):
        at_tap = {name: next(scores_of_taps) for name, scores_of_taps in scores.items()}
        yield {
            f"{name} {field}": getattr(scores_at_tap, field)
            for name, scores_at_tap in at_tap.items()
            for field in FIELDS
        } | {SEVERITY: _outlier_severity(run, tap, linear)}


def _by_class(
    run: Run, taps: list[Source], codes: RowReader, fold: torch.Tensor, linear: list[Moments]
) -> dict[str, list[Moments]]:
    """Return the moments without the means of the classes, and those of classes alone."""
    of_taps = class_sums.at_taps(run, taps, codes, fold)
    pairs = list(zip(of_taps, linear, strict=True))
    return {
        "within-classes": [sums.within(moments) for sums, moments in pairs],
        "classes-alone": [sums.alone(moments) for sums, moments in pairs],
    }


def _outlier_severity(run: Run, tap: Source, moments: Moments) -> np.ndarray:
    """Return the outlier severity of a tap: () float64 array."""
    shift = run.tensor(tap.file.read(f"taps/{tap.tap}/shift"))
    return np.array(moments.outlier_severity(shift))


def _scores(at_taps: list[Arrays], name: str) -> list[Scores]:
    """Return the scores of one predictor at every tap, from what `_score_taps` yields."""
    return [Scores(*(at_tap[f"{name} {field}"] for field in FIELDS)) for at_tap in at_taps]


def _of_half(options: Score, at_taps: list[Arrays], images: int) -> dict[Dataset, np.ndarray]:
    """Return the complexity from half of the images, and what follows for many more."""
    if not predictors.has_half(options):
        return {}
    share = ridge.half_of_folds(options.folds) / (options.folds - 1)
    half = _complexity(at_taps, HALF, "r2")
    half_without = _complexity(at_taps, HALF, "without")
    limit = numerics.extrapolated(_complexity(at_taps, predictors.MAIN, "r2"), half, share)
    limit_without = numerics.extrapolated(
        _complexity(at_taps, predictors.MAIN, "without"), half_without, share
    )
    return {
        COMPLEXITY_HALF: half,
        COMPLEXITY_HALF.se: numerics.jackknife(half_without),
        COMPLEXITY_LIMIT: limit,
        COMPLEXITY_LIMIT.se: numerics.jackknife(limit_without),
        IMAGES: np.array([share * images, images]),
    }


def _complexity(at_taps: list[Arrays], name: str, field: str) -> np.ndarray:
    """Return the complexity by one predictor, (K,) for r2 and (F, K) for without."""
    return numerics.complexity(np.stack([at_tap[f"{name} {field}"] for at_tap in at_taps]))


def _occurrence(run: Run, activations: ActivationReader, codes: RowReader) -> Occurrence:
    """Return on which images the concepts occur, of all ranks' images."""
    n, concepts = codes.shape("codes")
    occurrence = Occurrence(len(activations.classes), concepts, run.device)
    for rows in batches(run.ranks.block(n), run.config.machine.rows):
        labels = torch.from_numpy(activations.read("samples/label", rows)).to(run.device)
        occurrence.add(run.tensor(codes.read("codes", rows)), labels)
    return occurrence.reduced(run.ranks.sum)


def _of_dictionary(run: Run, mean: np.ndarray) -> dict[Dataset, np.ndarray]:
    """Return what the dictionary says of every concept, given the mean code of each."""
    with open_checked(run.dictionary, "vinfo-dictionary") as file:
        lengths = np.linalg.norm(checked(file, "atoms"), axis=1)
        datasets = {CLASS: checked(file, "class"), ENERGY: (mean * lengths) ** 2}
        if "names" in file:
            datasets[NAME] = checked(file, "names")
    return datasets


def _warnings(run: Run, datasets: Mapping[Dataset, Any]) -> list[str]:
    """Return what makes the numbers less trustworthy, as far as it is known by now; on one rank."""
    columns = {dataset.column: np.asarray(datasets[dataset]) for dataset in (ALIVE, FIRING_RATE)}
    config = run.config.model_dump(mode="json")
    analysed = run.activations(run.final)
    return warnings_about(facts_of(run.outputs, analysed, config, pd.DataFrame(columns)))


def _datasets(scores: list[Scores], how: str) -> dict[Dataset, np.ndarray]:
    """Return what is written for one predictor, from its scores at every tap."""
    r2 = np.stack([at_tap.r2 for at_tap in scores])  # (L, K)
    without = np.stack([at_tap.without for at_tap in scores])  # (L, F, K)
    complexity = COMPLEXITY.filled(how=how)
    vinformation = VINFORMATION.filled(how=how)
    datasets = {
        vinformation: r2,
        vinformation.se: np.stack([numerics.jackknife(at_tap.without) for at_tap in scores]),
        PENALTY: np.stack([at_tap.penalty for at_tap in scores]),
        complexity: numerics.complexity(r2),
        complexity.se: numerics.jackknife(numerics.complexity(without)),
    }
    parts = numerics.parts(r2)
    errors = numerics.standard_errors(without)
    for dataset in OF_CURVES:
        dataset = dataset.filled(how=how)
        datasets[dataset] = getattr(parts, dataset.column)
        datasets[dataset.se] = getattr(errors, dataset.column)
    return datasets
