"""Clusters of similar atoms, and what their members have in common."""

from __future__ import annotations

import warnings

import numpy as np

from vinfo_mpi.numerics import bootstrap

STARTS = 10  # of which K-means keeps the best


def kmeans(atoms: np.ndarray, clusters: int, seed: int = 0) -> np.ndarray:
    """Return the cluster of every atom, by K-means of their directions.

    Parameters
    ----------
    atoms : (K, d) array
        None of them zero.
    clusters : int
        How many; some stay empty where there are not so many different atoms.

    Returns
    -------
    (K,) int64 array
        Numbers of clusters.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.preprocessing import normalize
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    model = KMeans(min(clusters, len(atoms)), n_init=STARTS, random_state=seed)
    # Sums of several threads would round differently from machine to machine.
    with (
        threadpool_limits(1),
        warnings.catch_warnings(action="ignore", category=ConvergenceWarning),
    ):
        return model.fit_predict(normalize(atoms)).astype(np.int64)


def ranked(cluster: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the clusters renumbered, such that the mean of the values rises with the number.

    Parameters as `summary`.
    """
    order = np.argsort(summary(cluster, values)[1], kind="stable")
    return np.argsort(order)[cluster]


def summary(cluster: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many members each cluster has, and the mean of their values.

    Parameters
    ----------
    cluster : (K,) integer array
        Numbers 0 .. G-1.
    values : (K,) array
        NaN where a member has none.

    Returns
    -------
    size, mean : (G,) int64 and float64 arrays
        A cluster without values has no mean: NaN.
    """
    size = np.bincount(cluster)
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        total = np.bincount(cluster[known], values[known], minlength=len(size))
        return size, total / np.bincount(cluster[known], minlength=len(size))


def standard_errors(cluster: np.ndarray, values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the standard error of the mean of each cluster, by `bootstrap.mean`.

    Parameters
    ----------
    cluster, values : (K,) arrays
        As of `summary`.
    classes : (K,) integer array
        Class of every member, over which the error is.

    Returns
    -------
    (G,) float64 array
        NaN for a cluster with fewer than two values.
    """
    errors = np.full(cluster.max() + 1, np.nan)
    for number in range(len(errors)):
        members = (cluster == number) & np.isfinite(values)
        if members.sum() > 1:
            errors[number] = bootstrap.mean(values[members], classes[members]).standard_error
    return errors
