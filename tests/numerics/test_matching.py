"""Correlations of the codes of two networks against NumPy's."""

import numpy as np
import torch

from vinfo_mpi.numerics.matching import CodeSums, best


def sample(n=60, k=4, m=5, classes=3):
    random = np.random.default_rng(0)
    labels = random.integers(0, classes, n)
    first = random.gamma(0.5, size=(n, k)) + labels[:, None]
    second = np.abs(first[:, [1]] + random.normal(size=(n, m))) + 2 * labels[:, None]
    first[:, 3] = 0.7  # never varies
    return first, second, labels


def correlations(first, second, labels, classes, blocks=3):
    sums = CodeSums(classes, first.shape[1], second.shape[1])
    for rows in np.array_split(np.arange(len(first)), blocks):
        arrays = (torch.from_numpy(values[rows]) for values in (first, second, labels))
        sums.add(*arrays)
    return sums.correlations(lambda values: values)


def test_they_are_numpys_with_and_without_the_means_of_classes():
    first, second, labels = sample()
    # A class without images changes nothing.
    ours = correlations(first, second, labels, classes=4)
    k = first.shape[1]
    for values, means in (
        (ours.whole, np.zeros_like(labels)),
        (ours.within_classes, labels),
    ):
        both = np.concatenate([first, second], axis=1)
        for group in np.unique(means):
            both[means == group] -= both[means == group].mean(0)
        with np.errstate(invalid="ignore"):
            expected = np.corrcoef(both.T)[:k, k:]
        np.testing.assert_allclose(values[:3], expected[:3], atol=1e-12)
        assert np.isnan(values[3]).all()


def test_what_two_concepts_share_by_their_class_is_not_within_it():
    random = np.random.default_rng(1)
    labels = np.repeat([0, 1], 500)
    first = labels[:, None] * 5 + random.random((1000, 1))
    second = labels[:, None] * 5 + random.random((1000, 1))
    ours = correlations(first, second, labels, 2)
    assert ours.whole[0, 0] > 0.95
    assert abs(ours.within_classes[0, 0]) < 0.1


def test_the_best_partner():
    partner, correlation = best(np.array([[0.2, -0.9, 0.5], [np.nan] * 3, [np.nan, 0.1, -1.0]]))
    assert partner.tolist() == [2, -1, 1]
    np.testing.assert_array_equal(correlation, [0.5, np.nan, 0.1])
