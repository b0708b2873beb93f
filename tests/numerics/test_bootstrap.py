"""Standard errors over concepts of classes, against a bootstrap that is written out plainly."""

import numpy as np
import pytest
from drawings import over_classes
from scipy.stats import sem, spearmanr

from vinfo_mpi.numerics import bootstrap
from vinfo_mpi.numerics.correlation import spearman


def concepts(classes=12, of_each=6, seed=0):
    """Return two quantities that concepts of a class share for the most part, and the classes."""
    random = np.random.default_rng(seed)
    number = np.repeat(np.arange(classes), of_each)
    shared = random.normal(size=(2, classes))
    shared[1] += 0.5 * shared[0]
    x, y = shared[:, number] + 0.3 * random.normal(size=(2, len(number)))
    kept = random.random(len(number)) > 0.2  # classes of different sizes
    return x[kept], y[kept], number[kept] + 3


@pytest.mark.parametrize(
    ("ours", "plain"),
    [
        (lambda x, y, c: spearman(x, y, cluster=c), lambda x, y: spearmanr(x, y).statistic),
        (lambda x, y, c: bootstrap.mean(x, c), lambda x, y: x.mean()),
        (
            lambda x, y, c: bootstrap.quantile_range(x, 0.1, 0.9, c),
            lambda x, y: np.subtract(*np.quantile(x, [0.9, 0.1])),
        ),
    ],
    ids=["correlation", "mean", "quantiles"],
)
def test_classes_are_drawn_whole(ours, plain):
    x, y, classes = concepts()
    estimate = ours(x, y, classes)
    assert estimate.value == pytest.approx(plain(x, y), abs=1e-12)
    assert (estimate.n, estimate.clusters, estimate.over) == (len(x), 12, "12 classes")
    expected = over_classes(lambda draw: plain(x[draw], y[draw]), classes, draws=600)
    # Two independent estimates, of 1000 and of 600 draws, differ by about 4 %.
    assert estimate.standard_error == pytest.approx(expected, rel=0.12)


def test_concepts_of_a_class_that_are_alike_count_once():
    x, _, classes = concepts(classes=40, of_each=9)
    of_classes = [x[classes == number].mean() for number in np.unique(classes)]
    assert bootstrap.mean(x, classes).standard_error == pytest.approx(sem(of_classes), rel=0.15)
    assert bootstrap.mean(x).standard_error == pytest.approx(sem(x), rel=0.1)
    assert bootstrap.mean(x).standard_error < 0.5 * sem(of_classes)


@pytest.mark.parametrize("classes", [np.full(60, -1), np.arange(60) % 4])
def test_few_classes_leave_the_concepts(classes):
    x = np.random.default_rng(0).normal(size=60)
    assert bootstrap.mean(x, classes) == bootstrap.mean(x)
    assert bootstrap.mean(x, classes).over == "concepts"


def test_concepts_without_a_value_are_left_out():
    x, _, classes = concepts()
    expected = bootstrap.mean(x, classes)
    assert bootstrap.mean(np.append(x, np.nan), np.append(classes, 99)) == expected
    nothing = bootstrap.mean(np.full(3, np.nan), np.arange(3))
    assert np.isnan([nothing.value, nothing.standard_error]).all()
