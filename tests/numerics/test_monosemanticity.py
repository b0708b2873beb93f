"""Likeness of the images of a concept: the sums beside a loop over pairs, closed cases."""

import numpy as np
import pytest
import torch

from vinfo_mpi.numerics.complexity import jackknife
from vinfo_mpi.numerics.monosemanticity import Pairs, among, scaled

FOLDS = 3


def cosines(embeddings):
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return units @ units.T


def over_pairs(weights, embeddings):
    """Return the weighted mean cosine, pair by pair."""
    cosine = cosines(embeddings)
    total = weight = 0
    for first in range(len(weights)):
        for second in range(first + 1, len(weights)):
            both = weights[first] * weights[second]
            total += both * cosine[first, second]
            weight += both
    return total / weight


def summed(weights, embeddings, fold):
    pairs = Pairs(FOLDS, weights.shape[1], embeddings.shape[1])
    for rows in (slice(0, 7), slice(7, None)):
        pairs.add(*(torch.from_numpy(each[rows]) for each in (weights, embeddings, fold)))
    return pairs


def test_the_sums_are_a_loop_over_pairs():
    random = np.random.default_rng(0)
    weights = random.random((40, 3))
    embeddings = random.standard_normal((40, 5)) + 0.5
    fold = np.arange(40) % FOLDS
    pairs = summed(weights, embeddings, fold)
    expected = [over_pairs(of_concept, embeddings) for of_concept in weights.T]
    np.testing.assert_allclose(pairs.similarity(), expected, atol=1e-13)
    without = [
        [over_pairs(of_concept[fold != left], embeddings[fold != left]) for of_concept in weights.T]
        for left in range(FOLDS)
    ]
    np.testing.assert_allclose(pairs.without_folds(), without, atol=1e-12)
    np.testing.assert_allclose(jackknife(pairs.without_folds()), jackknife(np.array(without)))


def test_images_of_one_kind_are_alike_those_of_two_are_not():
    kinds = np.eye(4)[[0, 0, 0, 1, 2]] * 3
    weights = np.array([[1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [1, 1, 0, 1, 0], [0, 0, 0, 1, 0.0]]).T
    values = summed(weights, kinds, np.zeros(5, np.int64)).similarity()
    np.testing.assert_allclose(values[:3], [1, 0, 1 / 3], atol=1e-15)
    assert np.isnan(values[3]), "one image has no pair"


def test_an_image_without_an_embedding_does_not_count():
    random = np.random.default_rng(1)
    weights = random.random((9, 1))
    embeddings = random.standard_normal((9, 4))
    embeddings[4] = 0
    [value] = summed(weights, embeddings, np.zeros(9, np.int64)).similarity()
    rest = np.arange(9) != 4
    assert value == pytest.approx(over_pairs(weights[rest, 0], embeddings[rest]))


def test_codes_are_scaled_to_their_range():
    codes = torch.tensor([[1.0, 3.0], [2.0, 3.0], [5.0, 3.0]])
    assert scaled(codes, codes.amin(0), codes.amax(0))[:, 0].tolist() == [0, 0.25, 1]
    assert scaled(codes, codes.amin(0), codes.amax(0))[:, 1].isnan().all()


def test_the_chosen_rows_of_a_batch():
    chosen = torch.tensor([[3, 9], [5, -1], [0, 4]])
    expected = [[1, 0], [0, 1], [1, 0]]
    assert among(range(3, 6), chosen).tolist() == expected
