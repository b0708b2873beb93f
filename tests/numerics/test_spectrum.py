import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vinfo_mpi.numerics import spectrum
from vinfo_mpi.numerics.gram import Gram


def one_hot(labels, classes):
    return np.eye(classes)[labels]


def data(n=200, d=12, classes=4, seed=0):
    """Features far from zero of several scales, outputs linear in them, and targets."""
    random = np.random.default_rng(seed)
    features = np.maximum(0, random.normal(size=(n, d)) * 10.0 ** random.uniform(-1, 1, d) + 1)
    outputs = features @ random.normal(size=(d, classes)) + random.normal(size=classes)
    labels = (outputs + random.normal(size=outputs.shape)).argmax(1)
    return features, outputs, one_hot(labels, classes)


def spectrum_of(features, outputs, targets):
    return spectrum.from_gram(gram_of(features, outputs, targets))


def gram_of(*arrays):
    gram = Gram([array.shape[1] for array in arrays])
    gram.add(*map(torch.from_numpy, arrays))
    return gram


def basis(variables):
    """Orthonormal basis of the columns."""
    left, singular, _ = np.linalg.svd(variables, full_matrices=False)
    return left[:, singular > 1e-9 * singular[0]]


def directly(features, outputs, targets):
    """The same from the raw arrays: eigenvalues, quality, utilisation, laziness."""
    n = len(features)
    functions, singular, _ = np.linalg.svd(features / np.sqrt(n), full_matrices=False)
    span_of_outputs = basis(np.hstack([np.ones((n, 1)), outputs]))
    span_of_targets = basis(np.hstack([np.ones((n, 1)), targets]))
    centring = np.eye(n) - 1 / n
    kernel = centring @ features @ features.T @ centring
    minimal = centring @ span_of_outputs @ span_of_outputs.T @ centring
    laziness = 1 - np.sum(kernel * minimal) / np.linalg.norm(kernel) / np.linalg.norm(minimal)
    quality = np.square(span_of_targets.T @ functions).sum(0)
    utilisation = np.square(span_of_outputs.T @ functions).sum(0)
    return singular**2, quality, utilisation, laziness


def check(*arrays):
    made = spectrum_of(*arrays)
    eigenvalues, quality, utilisation, laziness = directly(*arrays)
    r = len(made.eigenvalues)
    assert (eigenvalues[r:] <= 1e-10 * eigenvalues[0]).all()
    np.testing.assert_allclose(made.eigenvalues, eigenvalues[:r], rtol=1e-6)
    np.testing.assert_allclose(made.quality, quality[:r], atol=1e-6)
    np.testing.assert_allclose(made.utilisation, utilisation[:r], atol=1e-6)
    assert made.laziness == pytest.approx(laziness, abs=1e-6)
    return made


@given(st.integers(30, 200), st.integers(2, 20), st.integers(2, 6), st.integers(0, 1000))
def test_everything_equals_the_raw_arrays(n, d, classes, seed):
    check(*data(n, d, classes, seed))


def test_the_figures_follow_from_eigenvalues_and_utilisation():
    made = spectrum_of(*data())
    p = made.eigenvalues.numpy() / made.eigenvalues.numpy().sum()
    assert made.effective_dimension == pytest.approx(math.exp(-(p * np.log(p)).sum()))
    # The outputs lie in the features, the constant nearly: Ĥ has 5 dimensions, and 4 to 5 of them
    # are there.
    assert made.dimension == 5
    assert 4 <= float(made.utilisation.sum()) <= 5
    k = made.significant
    most = 0.9 * made.utilisation.sum()
    assert made.utilisation[: k - 1].sum() < most <= made.utilisation[:k].sum()
    assert made.minimal is (k <= 5)
    np.testing.assert_allclose(made.cumulated_quality, np.cumsum(made.quality.numpy()) / 4)
    np.testing.assert_allclose(made.cumulated_utilisation, np.cumsum(made.utilisation.numpy()) / 4)


def test_features_that_are_the_classes_are_minimal_and_rich():
    labels = np.arange(300) % 10
    features = one_hot(labels, 10)
    made = check(features, features @ np.random.default_rng(0).normal(size=(10, 10)), features)
    assert made.laziness == pytest.approx(0, abs=1e-10)
    assert made.effective_dimension == pytest.approx(10)
    assert made.dimension == 10  # the constant is the sum of the classes
    assert made.significant == 9  # 90 % exactly, whatever the rounding
    assert made.minimal
    np.testing.assert_allclose(made.quality, 1)
    np.testing.assert_allclose(made.utilisation, 1)


@pytest.mark.parametrize("outputs", [1, 4])
def test_outputs_that_use_few_directions_of_many_are_lazy(outputs):
    """For isotropic features of d dimensions and r outputs, D_LR = 1 - √(r/d)."""
    random = np.random.default_rng(0)
    centred = random.normal(size=(500, 100))
    features = np.linalg.qr(centred - centred.mean(0)).Q * np.sqrt(500)
    made = spectrum_of(
        features, features @ random.normal(size=(100, outputs)), one_hot(np.arange(500) % 4, 4)
    )
    assert made.laziness == pytest.approx(1 - math.sqrt(outputs / 100))
    assert made.effective_dimension == pytest.approx(100)
    assert made.significant > 5
    assert not made.minimal


def test_a_class_without_samples_and_a_rare_one():
    features, outputs, _ = data(n=2000, d=6)
    labels = np.arange(2000) % 2
    labels[5] = 3
    made = check(features, outputs, one_hot(labels, 4))
    without = spectrum_of(features, outputs, one_hot(labels, 4)[:, [0, 1, 3]])
    torch.testing.assert_close(made.quality, without.quality, rtol=0, atol=1e-9)


def test_outputs_that_are_linearly_dependent_count_once():
    features, outputs, targets = data()
    gauge = outputs - outputs.mean(1, keepdims=True)
    made = check(features, gauge, targets)
    assert made.dimension == 4
    twice = spectrum_of(
        features, np.hstack([gauge, gauge[:, :2] * 7]).astype(np.float32).astype(float), targets
    )
    torch.testing.assert_close(twice.utilisation, made.utilisation, rtol=0, atol=1e-5)
    assert twice.dimension == 4
    assert twice.laziness == pytest.approx(made.laziness, abs=1e-5)


def test_constant_outputs_and_features():
    features, outputs, targets = data()
    still = spectrum_of(features, np.full_like(outputs, 0.1), targets)
    assert still.dimension == 1
    assert math.isnan(still.laziness)
    dead = spectrum_of(np.full_like(features, 0.1), np.full_like(outputs, 0.1), targets)
    assert math.isnan(dead.laziness)
    assert dead.effective_dimension == pytest.approx(1)
    assert dead.utilisation.tolist() == pytest.approx([1])
    assert len(spectrum_of(np.zeros_like(features), outputs, targets).eigenvalues) == 0


def test_features_that_are_copies_add_no_eigenfunctions():
    features, outputs, targets = data()
    single = spectrum_of(features, outputs, targets)
    double = check(np.hstack([features, features]), outputs, targets)
    torch.testing.assert_close(double.eigenvalues, 2 * single.eigenvalues, rtol=1e-9, atol=0)
    assert double.laziness == pytest.approx(single.laziness)


def test_outputs_may_be_shifted():
    features, outputs, targets = data()
    assert spectrum_of(features, outputs + 1000, targets).laziness == pytest.approx(
        spectrum_of(features, outputs, targets).laziness
    )


def test_grams_of_parts_give_the_spectrum_of_the_whole():
    first = gram_of(*(array[:70] for array in data()))
    second = gram_of(*(array[70:] for array in data()))
    made = spectrum.from_gram(first + second)
    expected = spectrum_of(*data())
    torch.testing.assert_close(made.eigenvalues, expected.eigenvalues, rtol=1e-9, atol=0)
    torch.testing.assert_close(made.quality, expected.quality, rtol=0, atol=1e-9)
    torch.testing.assert_close(made.utilisation, expected.utilisation, rtol=0, atol=1e-9)
    assert made.laziness == pytest.approx(expected.laziness, abs=1e-9)
