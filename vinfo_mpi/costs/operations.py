"""Floating-point operations."""

from __future__ import annotations

from collections.abc import Mapping

from vinfo_mpi.concepts import selection
from vinfo_mpi.config.schema import Config
from vinfo_mpi.costs.sizes import Sizes, shown
from vinfo_mpi.numerics import nnls

TYPICAL = {"dictionary": 100.0, "encode": 200.0}  # iterations of the fit; of a vector's codes, mean over the vectors


def of(sizes: Sizes, config: Config, iterations: Mapping[str, float] = TYPICAL) -> dict[str, float]:
    """Return the floating-point operations of each stage; `iterations`: of fitting the dictionary, of finding codes."""
    n, k, d, rows = sizes.n, sizes.concepts, sizes.d, sizes.n * sizes.positions
    solves = config.score.folds * len(config.score.penalties)
    taps = {name: 2.0 * n * width * (width + k) + 2.0 * solves * k * width**2 for name, width in sizes.widths.items()}
    head = 2 * d * sizes.outputs if sizes.linear else sizes.operations
    products = 0.0 if config.dictionary.file else 2.0 * n * (1 + d + k) ** 2
    fit = 4.0 * rows * d * k / sizes.groups * iterations["dictionary"]
    vectors = n if config.encode.positions == "pooled" else rows
    solve = 4.0 * vectors * k * (d + min(k, d) * iterations["encode"] * (1 + 1 / nnls.CHECK))
    own = {
        "train": 3.0 * sizes.operations * sizes.steps_of,
        "extract": float(sizes.operations * n * sizes.checkpoints),
        "dictionary": fit if config.dictionary.source == "nmf" else products,
        "encode": solve if config.dictionary.non_negative else 2.0 * n * k * 2 * d,
        "score": sum(taps.values()),
        "importance": 2.0 * n * k * (1 if sizes.linear else d) + (0.0 if sizes.linear else 3.0 * sizes.operations * n),
        "dynamics": sizes.checkpoints * [*taps.values()][-1],
    }
    noisy = min(n, config.robustness.images) * config.robustness.draws * len(config.robustness.sigmas) / n
    fits = own["dictionary"] + own["encode"] + own["score"]
    analyses = {
        "flow": sum(2.0 * n * width * (width + k) + 2.0 * solves * k * width**2 for width in sizes.branches.values()),
        "redundancy": 2.0 * n * d * (d + k),
        "support": (4 + config.support.draws) * n * (2.0 * k * d + config.support.steps * head),
        "spectrum": sizes.checkpoints * 2.0 * n * (1 + d + 2 * sizes.outputs) ** 2,
        "robustness": noisy * (own["encode"] + sizes.operations * n),
        "stability": config.stability.seeds * own["dictionary"],
        "sedimentation": (sizes.maps - 1) * fits + sizes.checkpoints * own["score"],
    }
    chosen = {name: analyses[name] for name in config.chosen_analyses if name in analyses}
    if "visualise" in config.chosen_pages:
        steps = config.visualise.steps * selection.count(config.visualise, k)
        chosen["visualise"] = 2.0 * sizes.operations * steps  # forward, and back to the pixels
    if "report" in config.chosen_pages:  # an image that shows several concepts is encoded once
        chosen["report"] = own["encode"] * min(1.0, k * shown(config) / n)
    return own | chosen
