"""Measures of concepts, taps and epochs by all analyses of a run, side by side in tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from vinfo_mpi.numerics.correlation import Matrix
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import (
    BETWEEN_CLASSES,
    CODE_VARIANCE,
    COMPLEXITY,
    DISCARDED,
    DYNAMICS_CHECKPOINTS,
    DYNAMICS_VINFORMATION,
    FIRING_RATE,
    IMPORTANCE,
    LATE,
    OUTLIER_SEVERITY,
    TAPS,
    TEMPORAL,
    UNREADABLE,
)
from vinfo_mpi.results.schema_analyses import (
    EFFECTIVE_DIMENSION,
    HOYER,
    NOISE_VARIANCE,
    REDUNDANCY,
    SPECTRUM_CHECKPOINTS,
    SPECTRUM_TAPS,
    STABILITY,
)
from vinfo_mpi.results.schema_collapse import COLLAPSE_CHECKPOINTS, NC1
from vinfo_mpi.results.schema_filters import (
    FILTER_LAYERS,
    ORTHOGONALITY,
    VARIANCE_ENTROPY,
)
from vinfo_mpi.results.schema_merging import CHANNELS, MERGING_LAYERS, WIDTHS
from vinfo_mpi.results.schema_migration import DRIFT, EMERGENCE, LOCALISATION
from vinfo_mpi.results.schema_monosemanticity import CLARITY, MONOSEMANTICITY
from vinfo_mpi.results.schema_patterns import (
    CODE_LAYERS,
    EQUAL_REDUNDANCY,
    KNN,
    PATTERN_CHECKPOINTS,
)
from vinfo_mpi.results.schema_pointwise import MISLED
from vinfo_mpi.results.schema_sedimentation import MEAN_COMPLEXITY, MEAN_PARTS, OWN_EPOCHS
from vinfo_mpi.results.schema_sparsity import (
    LAYERS,
    NONZERO,
    SPARSITY_CHECKPOINTS,
    SPARSITY_TAPS,
    UNITS_NONZERO,
)
from vinfo_mpi.results.tables import Results

OF_CONCEPTS = {
    COMPLEXITY: "complexity K",
    UNREADABLE: "unreadable",
    LATE: "late",
    DISCARDED: "discarded",
    MISLED: "images misled",
    TEMPORAL: "temporal score",
    EMERGENCE: "emergence",
    LOCALISATION: "localisation",
    DRIFT: "drift",
    REDUNDANCY: "redundancy",
    HOYER: "Hoyer sparsity",
    NOISE_VARIANCE: "variance under noise",
    STABILITY: "stability",
    MONOSEMANTICITY: "monosemanticity",
    CLARITY: "clarity",
    IMPORTANCE: "importance",
    CODE_VARIANCE: "variance",
    FIRING_RATE: "firing rate",
    BETWEEN_CLASSES: "share between classes",
}


# What follows from V-information over taps and epochs: that these go together says little.
OF_VINFORMATION = {
    OF_CONCEPTS[dataset]
    for dataset in (
        *(COMPLEXITY, UNREADABLE, LATE, DISCARDED, MISLED),
        *(TEMPORAL, EMERGENCE, LOCALISATION),
    )
}


def between_concepts(results: Results) -> tuple[list[str], Matrix]:
    """Return what is measured of concepts, and the rank correlation of every two measures.

    Over the living concepts that have all of them; standard errors as in `Results.correlation`.
    """
    there = [dataset for dataset in OF_CONCEPTS if dataset.column in results.living]
    return [OF_CONCEPTS[dataset] for dataset in there], results.correlations(there)


def of_taps(results: Results) -> pd.DataFrame:
    """Return a row per tap of the analysed checkpoint, a column per measure of taps.

    Hidden units, filters and channels that can be merged count for the tap whose name theirs begin
    with, as mean over its layers; channels left also over the thresholds. Codes are those of the
    images learned from that share one of as many units of every layer, and of how many held-out
    images the nearest codes tell the class.
    """
    taps = results.names(TAPS)
    table = pd.DataFrame(index=pd.Index(taps, name="tap"))
    living = results.living.index
    table["mean V-information"] = results.vinformation[living].mean(axis=1)
    if EFFECTIVE_DIMENSION in results:
        dimension = results.read(EFFECTIVE_DIMENSION)[-1]
        table["effective dimension"] = pd.Series(dimension, results.names(SPECTRUM_TAPS))
    if OUTLIER_SEVERITY in results:
        table["outlier severity"] = results.read(OUTLIER_SEVERITY)
    if NONZERO in results:
        table["values not 0"] = pd.Series(results.read(NONZERO)[-1], results.names(SPARSITY_TAPS))
    if UNITS_NONZERO in results:
        shares = results.read(UNITS_NONZERO)[-1]
        table["hidden units on"] = _by_tap(taps, results.names(LAYERS), shares)
    if CODE_LAYERS in results:
        layers = results.names(CODE_LAYERS)
        shared = results.read(EQUAL_REDUNDANCY)[-1, 0]
        table["codes shared"] = _by_tap(taps, layers, shared)
        if KNN in results:
            table["classes by codes"] = _by_tap(taps, layers, results.read(KNN)[-1])
    if CHANNELS in results:
        layers = results.names(MERGING_LAYERS)
        widths = results.read(WIDTHS)
        left = (results.read(CHANNELS)[-1] / widths).mean(axis=0)
        table["channels left"] = _by_tap(taps, layers, left)
        table["channels"] = _by_tap(taps, layers, widths)
    if FILTER_LAYERS in results:
        layers = results.names(FILTER_LAYERS)
        for name, quality in _OF_FILTERS.items():
            table[name] = _by_tap(taps, layers, results.read(quality)[-1])
    return table


def of_epochs(results: Results) -> pd.DataFrame:
    """Return a row per kept epoch, a column per measure of epochs."""
    columns: dict[str, pd.Series] = {}

    def add(name: str, epochs: Dataset, values: Dataset | np.ndarray) -> None:
        if epochs in results and (not isinstance(values, Dataset) or values in results):
            read = results.read(values) if isinstance(values, Dataset) else values
            columns[name] = pd.Series(read, results.read(epochs))

    if DYNAMICS_VINFORMATION in results:
        living = results.dynamics[results.living.index]
        add("mean V of the last tap", DYNAMICS_CHECKPOINTS, living.mean(axis=1).to_numpy())
    for name, dataset in _MEANS_OF_EPOCHS.items():
        add(name, OWN_EPOCHS, dataset)
    add("NC1", COLLAPSE_CHECKPOINTS, NC1)
    if EFFECTIVE_DIMENSION in results:
        add("effective dimension", SPECTRUM_CHECKPOINTS, results.read(EFFECTIVE_DIMENSION)[:, -1])
    if UNITS_NONZERO in results:
        add("hidden units on", SPARSITY_CHECKPOINTS, results.read(UNITS_NONZERO).mean(axis=1))
    if EQUAL_REDUNDANCY in results:
        add("codes shared", PATTERN_CHECKPOINTS, results.read(EQUAL_REDUNDANCY)[:, 0, -1])
    if KNN in results:
        add("classes by codes", PATTERN_CHECKPOINTS, results.read(KNN)[:, -1])
    table = pd.DataFrame(columns)
    table.index.name = "epoch"
    return table


_OF_FILTERS: Mapping[str, Dataset] = {
    "variety of kernels": VARIANCE_ENTROPY,
    "orthogonal filters": ORTHOGONALITY,
}
_MEANS_OF_EPOCHS: Mapping[str, Dataset] = {
    "mean K": MEAN_COMPLEXITY,
    "mean unreadable": MEAN_PARTS[UNREADABLE],
    "mean late": MEAN_PARTS[LATE],
}


def _by_tap(taps: Sequence[str], layers: Sequence[str], values: np.ndarray) -> pd.Series:
    """Return the mean over the layers of each tap; NaN where it has none."""
    tap_of = [next((tap for tap in taps if _within(layer, tap)), "") for layer in layers]
    return pd.Series(values, pd.Index(tap_of)).groupby(level=0).mean().reindex(pd.Index(taps))


def _within(layer: str, tap: str) -> bool:
    return layer == tap or layer.startswith((f"{tap}.", f"{tap}#"))
