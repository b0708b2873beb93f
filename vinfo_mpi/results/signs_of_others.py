"""Findings of other papers about the features of networks, looked for in a run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vinfo_mpi.numerics.arrays import standard_error
from vinfo_mpi.results import curves
from vinfo_mpi.results.curves import Measured
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema_analyses import LAZINESS
from vinfo_mpi.results.schema_bias import AVAILABILITY, BIAS, BIAS_FACTORS, PAIRS
from vinfo_mpi.results.schema_collapse import CDNV, COLLAPSING
from vinfo_mpi.results.schema_merging import CHANNELS, WIDTHS
from vinfo_mpi.results.schema_migration import DRIFT, KIND_NAMES, KIND_SHARE
from vinfo_mpi.results.schema_patterns import (
    CATEGORIES,
    CODE_REDUNDANCY,
    EQUAL_REDUNDANCY,
)
from vinfo_mpi.results.schema_sparsity import POSITIVE
from vinfo_mpi.results.sign import Sign
from vinfo_mpi.results.tables import Results


def _mean(dataset: Dataset) -> Callable[[Results], Measured]:
    """Measure the mean of a quantity over the living concepts."""

    def measure(results: Results) -> Measured:
        mean = results.mean(dataset)
        return mean.value, mean.standard_error

    return measure


def _lazier(results: Results) -> Measured:
    """Measure the change of the share of active hidden units, mean over the layers.

    Errors of layers add up as if all were off in the same direction: they share their images.
    """
    values, errors = results.read_with_error(POSITIVE)
    return curves.difference(values.mean(1), errors.mean(1))


def _redundancy(results: Results) -> Measured:
    """Measure the share of images without a code of their own: final network, all layers."""
    values, errors = results.read_with_error(CODE_REDUNDANCY)
    return float(values[-1, 0, -1]), float(errors[-1, 0, -1])


def _fewer_redundant(results: Results) -> Measured:
    """Measure the change of that share, of as many bits as every layer has.

    Errors add up as if both codes had been found on other images: those here are the same.
    """
    values, errors = results.read_with_error(EQUAL_REDUNDANCY)
    return curves.difference(values[:, 0, -1], errors[:, 0, -1])


def _middle(results: Results) -> Measured:
    """Measure the share of channels left in the middle half of the layers less that in the others.

    Mean over the thresholds, at the last checkpoint; with the error of a difference of two means
    over layers.
    """
    left = (results.read(CHANNELS)[-1] / results.read(WIDTHS)).mean(0)
    layers = len(left)
    inner = np.zeros(layers, bool)
    inner[layers // 4 : layers - layers // 4] = True
    parts = [left[inner], left[~inner]]
    if not len(parts[1]):
        return np.nan, np.nan
    return float(parts[0].mean() - parts[1].mean()), float(np.hypot(*map(standard_error, parts)))


def _to_the_available(results: Results) -> Measured:
    """Measure the bias to that of two factors which more of the untrained network's taps tell.

    Mean over the pairs, whose errors add up as if all were off in the same direction.
    """
    values, errors = results.read_with_error(BIAS)
    factors = results.names(BIAS_FACTORS)
    available = dict(zip(factors, results.read(AVAILABILITY).mean(0), strict=True))
    pairs = [pair.split(" over ") for pair in results.names(PAIRS)]
    signs = np.sign([available[first] - available[second] for first, second in pairs])
    return float((signs * values).mean()), float(errors.mean())


SIGNS_OF_OTHERS = (
    Sign(
        "laziness D_LR falls from the first to the last checkpoint",
        "< 0",
        ("spectrum",),
        curves.change(LAZINESS),
        "Nam et al. 2024",
    ),
    Sign(
        "fewer hidden units are active (share, last less first checkpoint)",
        "< 0",
        ("sparsity",),
        _lazier,
        "Li et al. 2023",
    ),
    *(
        Sign(
            f"{name} falls over training",
            "< 0",
            ("collapse",),
            curves.change(dataset),
            "Galanti et al. 2022" if dataset is CDNV else "Papyan et al. 2020",
        )
        for name, dataset in COLLAPSING.items()
    ),
    Sign(
        "concepts drift towards the input (mean drift in taps)",
        "< 0",
        ("migration",),
        _mean(DRIFT),
        "Järve et al. 2026",
    ),
    Sign(
        "few concepts migrate deeper (share of them)",
        "about 0",
        ("migration",),
        curves.entry(KIND_NAMES, KIND_SHARE, "deeper"),
        "Järve et al. 2026",
    ),
    Sign(
        "hardly any images share their activation code (final network)",
        "about 0",
        ("patterns",),
        _redundancy,
        "He et al. 2021",
    ),
    Sign(
        "redundancy of few of its bits falls (last less first checkpoint)",
        "< 0",
        ("patterns",),
        _fewer_redundant,
        "He et al. 2021",
    ),
    *(
        Sign(
            f"activation codes tell classes better ({method}, last less first)",
            "> 0",
            ("patterns",),
            curves.change(dataset),
            "He et al. 2021",
        )
        for method, dataset in CATEGORIES.items()
    ),
    Sign(
        "more channels are left in the middle of the network (share, less that at its ends)",
        "> 0",
        ("merging",),
        _middle,
        "Chen et al. 2024",
    ),
    Sign(
        "decisions follow the more available of two factors, beyond the optimum (shortcut bias)",
        "> 0",
        ("bias",),
        _to_the_available,
        "Hermann et al. 2024",
    ),
)
