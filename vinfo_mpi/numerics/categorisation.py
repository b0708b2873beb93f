"""How well plain methods tell the class of an image from the bits of its code alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

NEIGHBOURS = 9  # He et al. 2021
STEPS = 200  # of the logistic regression, at most


def right(
    bits: np.ndarray, labels: np.ndarray, judged: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Return by method which of the judged images it gives their label, learning from the others.

    Methods: `kmeans`, with a cluster for every class, which predicts the label that most of its
    images have; `knn`, by the nearest in Hamming distance; `logistic` regression, multinomial.

    Parameters
    ----------
    bits : (N, b) bool array
    labels : (N,) integer array
    judged : (N,) bool array
    seed : int
        Of the start of K-means.

    Returns
    -------
    dict of (n,) bool array
        A row for each judged image.
    """
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    some = bits[~judged]
    varies = some.any(0) & ~some.all(0)
    varies[:1] |= not varies.any()
    numbers = bits[:, varies].astype(np.float64)  # of which distances are exact
    learned = numbers[~judged], labels[~judged]
    # Sums of several threads would round differently from machine to machine.
    with (
        threadpool_limits(1),
        warnings.catch_warnings(action="ignore", category=ConvergenceWarning),
    ):
        return {
            method: predict(*learned, numbers[judged], seed) == labels[judged]
            for method, predict in METHODS.items()
        }


def _kmeans(x: np.ndarray, labels: np.ndarray, others: np.ndarray, seed: int) -> np.ndarray:
    """Return the predictions for others of clusters of x."""
    from sklearn.cluster import KMeans

    model = KMeans(len(np.unique(labels)), n_init=1, random_state=seed).fit(x)
    counts = np.zeros((model.n_clusters, int(labels.max()) + 1), np.int64)
    np.add.at(counts, (model.labels_, labels), 1)
    return counts.argmax(1)[model.predict(others)]


def _knn(x: np.ndarray, labels: np.ndarray, others: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.neighbors import KNeighborsClassifier

    # Between truth values, the squared Euclidean distance is Hamming's, and faster.
    model = KNeighborsClassifier(min(NEIGHBOURS, len(x)), algorithm="brute")
    return model.fit(x, labels).predict(others)


def _logistic(x: np.ndarray, labels: np.ndarray, others: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=STEPS).fit(x, labels).predict(others)


METHODS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]] = {
    "kmeans": _kmeans,
    "knn": _knn,
    "logistic": _logistic,
}
