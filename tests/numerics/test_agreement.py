"""Agreement with labels by scikit-learn's kappa and scipy's binomial test; permuted outputs."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from vinfo_mpi.numerics import agreement


@pytest.fixture
def drawn():
    """Labels of 6 classes, and predictions that are right in about 70 % of the cases."""
    random = np.random.default_rng(0)
    labels = random.choice(6, 500, p=[0.4, 0.2, 0.2, 0.1, 0.05, 0.05])
    return labels, np.where(random.random(500) < 0.65, labels, random.integers(0, 6, 500))


def test_confusion_and_chance(drawn):
    labels, predictions = drawn
    table = agreement.confusion(labels, predictions, 6)
    np.testing.assert_array_equal(table, confusion_matrix(labels, predictions))
    accuracy = (labels == predictions).mean()
    chance = agreement.chance(table)
    kappa = (accuracy - chance) / (1 - chance)
    assert kappa == pytest.approx(cohen_kappa_score(labels, predictions), abs=1e-12)


@pytest.mark.parametrize("right", [0, 3, 10, 40])
def test_probabilities(right):
    for function, side in ((agreement.exceeds, "greater"), (agreement.falls_short, "less")):
        expected = binomtest(right, 40, 0.25, side).pvalue
        assert function(right, 40, 0.25) == pytest.approx(expected, abs=1e-12)


def test_permuted_outputs_are_put_in_order(drawn):
    labels, predictions = drawn
    order = np.array([3, 0, 1, 2, 5, 4])
    permuted = agreement.reordering(labels, order[predictions], 6)
    np.testing.assert_array_equal(permuted.output, order)
    assert permuted.right == (labels == predictions)[1::2].sum()
    assert permuted.before == (labels == order[predictions])[1::2].sum()


def test_an_order_that_is_right_stays(drawn):
    best = agreement.reordering(*drawn, 6)
    np.testing.assert_array_equal(best.output, np.arange(6))
    assert best.right == best.before


def test_images_that_decide_do_not_judge():
    """With an image of each class any order fits those that decide on it, not the others."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(200), 2)
    best = agreement.reordering(labels, random.integers(0, 200, 400), 200)
    assert best.right < 10
