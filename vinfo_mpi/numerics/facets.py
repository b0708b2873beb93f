"""Facets: the groups into which the images of a concept fall, if they fall into any.

After Nguyen, Yosinski & Clune 2016, "Multifaceted Feature Visualization", who cluster the images of
a neuron into as many facets as they choose. Here the tree of Ward (1963) is cut into two to `MOST`
groups, and the best cut counts only where its groups are apart: by the silhouettes of Rousseeuw
(1987), of the group that has the least, so that one tight group does not make up for another that
is only the rest; and beside vectors that spread as much and have no gaps, as in Liu, Hayes, Nobel &
Marron 2008, "Statistical Significance of Clustering for High-Dimension, Low-Sample Size Data".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist, squareform

MOST = 5  # facets of a concept
FEWEST = 5  # images of a facet, at least
SMALLEST = 0.1  # share of the images that a facet has at least: what is rarer is no facet
DISTINCT = 0.4  # silhouette of every facet, at least
DRAWS = 20  # of vectors without gaps
DEVIATIONS = 3.0  # by how many of theirs a silhouette is above the mean without gaps


class Division(NamedTuple):
    """The best division of some vectors into groups.

    Attributes
    ----------
    group : (n,) int64 array
        Of each vector; the first one's is 0, the next number is that of the first one in another.
    silhouette : float
        Mean over the group that has the least; NaN where all groups would be too small.
    """

    group: np.ndarray
    silhouette: float


class Facets(NamedTuple):
    """Facets of a concept.

    Attributes
    ----------
    facet : (n,) int64 array
        Of each image; numbers as in `Division`. All 0 where the images do not fall into groups.
    silhouette : float
        Of the best division, whether it counts or not.
    needed : float
        The silhouette from which on it counts.
    """

    facet: np.ndarray
    silhouette: float
    needed: float


def find(vectors: np.ndarray, generator: np.random.Generator) -> Facets:
    """Return the facets of images.

    Parameters
    ----------
    vectors : (n, d) array
        Of the images.
    generator : np.random.Generator
        Of the vectors without gaps.
    """
    along = principal(vectors)
    best = divide(along)
    needed = DISTINCT
    if best.silhouette >= DISTINCT:
        spread = along.std(axis=0, ddof=1)
        drawn = [
            divide(spread * generator.standard_normal(along.shape)).silhouette for _ in range(DRAWS)
        ]
        without_gaps = np.nan_to_num(drawn)
        bound = without_gaps.mean() + DEVIATIONS * without_gaps.std(ddof=1)
        needed = max(DISTINCT, float(bound))
    apart = best.silhouette >= needed
    return Facets(best.group if apart else np.zeros_like(best.group), best.silhouette, needed)


def principal(vectors: np.ndarray) -> np.ndarray:
    """Return vectors along their principal axes, as many as `MOST` groups can need: (n, <5)."""
    centred = vectors - vectors.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    return (left * values)[:, : MOST - 1]


def divide(vectors: np.ndarray) -> Division:
    """Return the division into two to `MOST` groups whose least distinct group is most distinct."""
    from sklearn.metrics import silhouette_samples

    n = len(vectors)
    smallest = max(FEWEST, SMALLEST * n)
    best = Division(np.zeros(n, np.int64), np.nan)
    if n < 2 * smallest:
        return best
    distances = squareform(pdist(vectors))
    tree = linkage(vectors, "ward")
    for groups in range(2, MOST + 1):
        group = _by_first(fcluster(tree, groups, "maxclust"))
        size = np.bincount(group)
        if len(size) < groups or size.min() < smallest:
            continue
        values = silhouette_samples(distances, group, metric="precomputed")
        silhouette = float((np.bincount(group, values) / size).min())
        if not silhouette <= best.silhouette:
            best = Division(group, silhouette)
    return best


def _by_first(group: np.ndarray) -> np.ndarray:
    """Return groups numbered by the first vector in each."""
    _, first, number = np.unique(group, return_index=True, return_inverse=True)
    return first.argsort().argsort()[number]


def centres_of(vectors: np.ndarray, facet: np.ndarray) -> np.ndarray:
    """Return the mean vector of every facet: (n, d) and the facet of each (n,) to (F, d)."""
    return np.stack([vectors[facet == number].mean(axis=0) for number in range(facet.max() + 1)])


def in_turn(facet: np.ndarray, count: int) -> np.ndarray:
    """Return the places of images that are taken from all facets in turn, facet after facet.

    Parameters
    ----------
    facet : (n,) int64 array
        Of each image, strongest first; -1: no image.
    count : int
        At most so many in all.
    """
    same = facet[:, None] == facet
    before = np.tril(same, -1).sum(axis=1)  # images of the facet that are stronger
    there = np.flatnonzero(facet >= 0)
    taken = there[np.lexsort((facet[there], before[there]))[:count]]
    return taken[np.lexsort((taken, facet[taken]))]


def agreement(facet: np.ndarray, labels: np.ndarray) -> float:
    """Return how far facets are the classes: 1 the same division, 0 as by chance.

    The adjusted Rand index of Hubert & Arabie (1985); NaN of a single facet.
    """
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(labels, facet)) if facet.max(initial=0) else np.nan
