"""The run's concepts and the features of its autoencoder, side by side in one table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from vinfo_mpi.numerics import bootstrap
from vinfo_mpi.numerics.differences import difference
from vinfo_mpi.results.schema import IMPORTANCE
from vinfo_mpi.results.schema_analyses import STABILITY
from vinfo_mpi.results.schema_autoencoder import (
    DICTIONARIES,
    FIDELITY,
    LIVING,
    OF_FEATURES,
    SIMILARITY_OF_FEATURES,
)
from vinfo_mpi.results.tables import Results

COLUMNS = ("own", "own ±", "autoencoder", "autoencoder ±", "difference", "difference ±")
CONCEPTS = "concepts"
SUM = "importance, sum"
SIMILAR = "matched cosine, other fits"


def side_by_side(results: Results) -> pd.DataFrame:
    """Return a row per measure of both dictionaries, means with standard errors.

    Of each mean, and of their difference where it has an error; NaN: not known. The run's columns
    are called as its dictionary.source.
    """
    rows = {CONCEPTS: _numbers(len(results.living), results.read(LIVING)[0])}
    for dataset in FIDELITY:
        rows[dataset.column.replace("_", " ")] = _numbers(*results.read(dataset))
    for dataset, of_feature in OF_FEATURES.items():
        if dataset.column in results.living:
            own = results.living[dataset.column].to_numpy()
            rows[dataset.column] = _means(own, results.classes_of_living, results.read(of_feature))
    if IMPORTANCE.column in rows:
        features = results.read(OF_FEATURES[IMPORTANCE])
        rows[SUM] = _numbers(results.living[IMPORTANCE.column].sum(), features.sum())
    similarity = results.read(SIMILARITY_OF_FEATURES)
    living = results.living
    stability = living[STABILITY.column].mean() if STABILITY.column in living else np.nan
    rows[SIMILAR] = _numbers(stability, similarity.mean() if len(similarity) else np.nan)
    source = results.names(DICTIONARIES)[0]
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.columns = pd.Index([name.replace("own", source) for name in COLUMNS])
    return table.rename_axis("measure")


def _numbers(own: float, of_features: float) -> list[float]:
    """Return a row of two numbers without errors."""
    return [own, np.nan, of_features, np.nan, of_features - own, np.nan]


def _means(own: np.ndarray, classes: np.ndarray, of_features: np.ndarray) -> list[float]:
    """Return a row of means over concepts, and over features, which belong to no class."""
    without_class = np.full(len(of_features), -1)
    estimates = (
        bootstrap.mean(own, classes),
        bootstrap.mean(of_features, without_class),
        difference(own, classes, of_features, without_class),
    )
    return [number for each in estimates for number in (each.value, each.standard_error)]
