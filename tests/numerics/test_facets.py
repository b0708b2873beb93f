"""Facets: planted factors are found, one factor is one, and what is compared is what it says."""

import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_samples

from vinfo_mpi.numerics import facets

IMAGES = 100
CHANNELS = 64


def images(factors, seed, strength=8.0):
    """Return the strongest images of a concept that is the sum of factors, and the factor of each.

    Of 2,000 images every twentieth shows a factor, never two of them; beside it are others, that
    the concept has nothing to do with, and noise.
    """
    random = np.random.default_rng(seed)
    direction = np.linalg.qr(random.standard_normal((CHANNELS, CHANNELS)))[0]
    shown = np.where(random.random(2000) < 0.1, random.integers(factors, size=2000), -1)
    values = np.zeros((2000, CHANNELS))
    there = shown >= 0
    values[there, shown[there]] = strength * random.uniform(0.7, 1.3, there.sum())
    values[:, 5:15] = 2 * np.maximum(0, random.standard_normal((2000, 10)))
    values += random.standard_normal(values.shape)
    strongest = np.argsort(-values[:, :factors].sum(1))[:IMAGES]
    return values[strongest] @ direction.T, shown[strongest]


@pytest.mark.parametrize("factors", [2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_factors_that_never_occur_together_are_facets(factors, seed):
    vectors, shown = images(factors, seed)
    found = facets.find(vectors, np.random.default_rng(seed))
    assert found.facet.max() + 1 == factors
    pure = [np.bincount(shown[found.facet == facet] + 1).max() for facet in range(factors)]
    assert sum(pure) >= 0.95 * IMAGES
    assert found.silhouette > found.needed


@pytest.mark.parametrize("seed", range(3))
def test_a_single_factor_is_one_facet(seed):
    vectors, _ = images(1, seed)
    found = facets.find(vectors, np.random.default_rng(seed))
    assert not found.facet.any()
    assert found.silhouette < found.needed
    # Though k-means, as anyone may see, divides them nevertheless.
    assert len(np.unique(KMeans(2, n_init=2, random_state=0).fit_predict(vectors))) == 2


def test_what_is_long_without_gaps_is_one_facet():
    """Its halves have a high silhouette; those of any other as long have as high a one."""
    random = np.random.default_rng(0)
    vectors = random.standard_normal((IMAGES, 8)) * [9, 1, 1, 1, 1, 1, 1, 1]
    found = facets.find(vectors, random)
    assert not found.facet.any()
    assert facets.DISTINCT < found.silhouette < found.needed


def test_a_division_is_that_of_scikit_learn():
    vectors, _ = images(3, seed=5)
    along = facets.principal(vectors)
    np.testing.assert_allclose(np.abs(along), np.abs(PCA(4).fit_transform(vectors)), atol=1e-9)
    best = facets.divide(along)
    silhouettes = {}
    for groups in range(2, 6):
        group = AgglomerativeClustering(groups).fit_predict(along)
        values = silhouette_samples(along, group)
        silhouettes[groups] = min(values[group == number].mean() for number in range(groups))
    assert best.group.max() + 1 == max(silhouettes, key=silhouettes.get)
    assert best.silhouette == pytest.approx(max(silhouettes.values()))
    first = [np.flatnonzero(best.group == number)[0] for number in range(best.group.max() + 1)]
    assert first == sorted(first) and first[0] == 0


def test_a_few_images_apart_are_no_facet():
    vectors = np.random.default_rng(0).standard_normal((IMAGES, 3))
    vectors[:6] += 100
    assert not facets.find(vectors, np.random.default_rng(0)).facet.any()


def test_few_images_and_equal_ones_are_one_facet():
    for vectors in (np.eye(4), np.ones((30, 4)), np.empty((1, 4))):
        found = facets.find(vectors, np.random.default_rng(0))
        assert found.facet.tolist() == [0] * len(vectors)
        assert found.needed == facets.DISTINCT


def test_agreement_with_classes():
    labels = np.repeat([4, 7], 20)
    assert facets.agreement(1 - labels // 7, labels) == 1
    assert abs(facets.agreement(np.arange(40) % 2, labels)) < 0.05
    assert np.isnan(facets.agreement(np.zeros(40, int), labels))


def test_images_are_taken_from_all_facets_in_turn():
    facet = np.array([0, 0, 1, 0, 0, 2, 1, 0, -1])
    assert facets.in_turn(facet, 5).tolist() == [0, 1, 2, 6, 5]
    assert facets.in_turn(facet, 2).tolist() == [0, 2]
    assert facets.in_turn(facet, 40).tolist() == [0, 1, 3, 4, 7, 2, 6, 5]
    assert facets.in_turn(np.full(4, -1), 3).tolist() == []


def test_centres_are_means():
    vectors, shown = images(2, seed=0)
    centres = facets.centres_of(vectors, shown)
    for number in (0, 1):
        np.testing.assert_allclose(centres[number], vectors[shown == number].mean(0))
