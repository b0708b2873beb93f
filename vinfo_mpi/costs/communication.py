"""Bytes that all ranks together put into sums, scatters and broadcasts: what timings.json counts as communicated.

Exact, but for the training, whose gradients torch sends: timings.json does not count them. Small Python objects that the
ranks tell each other (scores of own concepts, wishes to stop) are in neither. One rank sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vinfo_mpi.config.schema import Config
from vinfo_mpi.costs.operations import TYPICAL
from vinfo_mpi.costs.sizes import Sizes, shown
from vinfo_mpi.numerics import examples, fidelity, nndsvd
from vinfo_mpi.numerics.spectrum import FOLDS

NUMBER = 8  # bytes: float64 or int64


def of(sizes: Sizes, config: Config, ranks: int, iterations: Mapping[str, float] = TYPICAL) -> dict[str, float]:
    """Return the bytes of each stage; `iterations`: of the fit of the dictionary."""
    k, widths = sizes.concepts, [*sizes.widths.values()]
    fit = dictionary(sizes, config, ranks, iterations["dictionary"])
    encode = sent(ranks, len(fidelity.NAMES) + 1)
    main = sum(score(sizes, config, ranks, width) for width in widths)
    importance = sent(ranks, 3 * k)
    epochs = config.train.epochs if sizes.steps_of else 0
    own = {
        "train": sent(ranks, sizes.trainable / NUMBER * epochs * (sizes.steps_of // max(1, epochs) // config.train.batch)),
        "extract": 0.0,
        "dictionary": fit,
        "encode": encode,
        "score": main,
        "importance": importance,
        "dynamics": sizes.checkpoints * vinformation(sizes, config, ranks, widths[-1]),
    }
    draws = 4 + config.support.draws
    kept = len(np.unique(np.linspace(0, k, config.support.steps + 1).round()))
    spectra = widths if config.spectrum.taps == "all" else widths[-1:]
    noisy = min(sizes.n, config.robustness.images) * len(config.robustness.sigmas)
    grid = sum(vinformation(sizes, config, ranks, width) for width in widths)
    analyses = {
        "flow": sum(vinformation(sizes, config, ranks, width) for width in sizes.branches.values()),
        "redundancy": moments(ranks, 1, widths[-1], k),
        "support": sent(ranks, 3 * draws * (kept + 1)),
        "hoyer": 0.0,
        "metafeatures": sent(ranks, len(sizes.classes) * (k + 1)),
        "sparsity": sent(ranks, 2 * sizes.checkpoints * len(widths)),
        "spectrum": sizes.checkpoints * sum(sent(ranks, FOLDS * (1 + d + 2 * sizes.outputs) ** 2) for d in spectra),
        "robustness": sent(ranks, 2 * (noisy + 1) * k),
        "stability": config.stability.seeds * factorisation(sizes, config, ranks, iterations["dictionary"]),
        "sedimentation": sizes.checkpoints * grid + (sizes.maps - 1) * (fit + encode + main + importance),
    }
    chosen = {name: analyses[name] for name in config.chosen_analyses}
    if "visualise" in config.chosen_pages:
        chosen["visualise"] = sent(ranks, 3 * (config.visualise.size or sizes.size) ** 2)
    if "report" in config.chosen_pages:
        chosen["report"] = report(sizes, config, ranks)
    return own | chosen


def dictionary(sizes: Sizes, config: Config, ranks: int, iterations: float) -> float:
    """Return the bytes of making the dictionary: of a factorisation from its start to the count of its atoms, or of products."""
    d, k, g, source = sizes.d, sizes.concepts // sizes.groups, sizes.groups, config.dictionary.source
    if source == "nmf":
        start = 0.0
        if config.dictionary.init == "nndsvda" and k <= d:
            subspaces = (nndsvd.ITERATIONS + 1) * g * d * min(k + nndsvd.OVERSAMPLING, d)
            start = sent(ranks, (g * d**2 if nndsvd.products_first(g, d, k) else subspaces) + 2 * g * (k + 1))
        return start + factorisation(sizes, config, ranks, iterations) + sent(ranks, g * k)
    if source in ("pca", "eigenfunctions"):
        return sent(ranks, (1 + d) ** 2)
    return sent(ranks, (1 + sizes.concepts + d) ** 2) if source in ("logits", "factors") else 0.0


def factorisation(sizes: Sizes, config: Config, ranks: int, iterations: float) -> float:
    """Return the bytes of a fit's iterations, and of the size of what is factorised."""
    k = sizes.concepts // sizes.groups
    sums = iterations + (iterations < config.dictionary.max_iterations)  # the ranks vote to stop beside sums that none needs
    return sent(ranks, 1 + sums * (sizes.groups * k * (sizes.d + k) + 2))


def score(sizes: Sizes, config: Config, ranks: int, d: int) -> float:
    """Return the bytes of scoring at a tap of `d` channels with all predictors; the moments of a family serve every estimator."""
    options, names = config.score, ("main", *config.score.also)
    families = [name if name in ("linear", "random-features") else options.family for name in names]
    estimators = [name if name in ("held-out", "in-sample") else options.estimator for name in names]
    widths = {"linear": d, "random-features": d + options.random_features}
    sums = sum(moments(ranks, options.folds, widths[family], sizes.concepts) for family in {"linear", *families})
    return sums + sum(
        factors(ranks, widths[family], 1 if estimator == "in-sample" else options.folds)
        for family, estimator in zip(families, estimators, strict=True)
    )


def vinformation(sizes: Sizes, config: Config, ranks: int, d: int) -> float:
    """Return the bytes of the V-information at a tap of `d` channels: the stages dynamics and flow."""
    options = config.score
    splits = 1 if options.estimator == "in-sample" else options.folds
    return moments(ranks, options.folds, d, sizes.concepts) + factors(ranks, d, splits)


def moments(ranks: int, folds: int, d: int, k: int) -> float:
    """Return the bytes of the sums over all images: on all ranks n, x, z, z², x xᵀ; scattered over the ranks z xᵀ."""
    return sent(ranks, folds * (1 + d + 2 * k + d * d) + k * folds * d)


def factors(ranks: int, d: int, splits: int) -> float:
    """Return the bytes of diagonalised covariances, each sent by one rank to all others."""
    return NUMBER * splits * (d + 2.0 * d * d) if ranks > 1 else 0.0


def report(sizes: Sizes, config: Config, ranks: int) -> float:
    """Return the bytes of choosing images: histograms of codes; importance class by class; heat maps, a byte per position."""
    k, square = sizes.concepts, round(sizes.map**0.5) ** 2 == sizes.map > 1
    maps = shown(config) * k * sizes.map if square and config.dictionary.source not in ("logits", "factors") else 0
    classes = sizes.outputs * (k + 1) if sizes.linear else 0
    return sent(ranks, k * (examples.PER_OCTAVE * examples.OCTAVES + 1) + classes + maps / NUMBER)


def sent(ranks: int, numbers: float) -> float:
    """Return the bytes of so many numbers from every rank."""
    return float(NUMBER * ranks * numbers) if ranks > 1 else 0.0
