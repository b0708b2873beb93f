"""Quality of filters: beside NumPy's SVD and SciPy's entropy, closed cases, degenerate layers."""

import numpy as np
import pytest
from scipy.stats import entropy

from vinfo_mpi.numerics import filters


def random_weight(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_the_entropy_is_that_of_the_singular_values():
    kernels = random_weight(40, 9).astype(float) * np.arange(1, 10) + 3
    singular = np.linalg.svd(kernels - kernels.mean(0), compute_uv=False)
    assert filters.variance_entropy(kernels) == pytest.approx(entropy(singular**2), rel=1e-12)


def test_random_filters_are_as_varied_as_can_be():
    measured = filters.quality(random_weight(32, 16, 3, 3, seed=7))
    assert measured.kernels == 512
    assert measured.entropy == pytest.approx(1, abs=0.01)
    assert measured.random and measured.degenerate
    mean, _ = filters.entropy_of_random(filters.MOST, 9)
    assert mean == pytest.approx(np.log(9), rel=2e-3), "more kernels would not be more varied"


def test_varied_filters_that_are_not_random_are_sound():
    measured = filters.quality(random_weight(32, 16, 3, 3) * np.linspace(0.4, 1.6, 9).reshape(3, 3))
    assert not measured.random and not measured.degenerate
    assert 0.8 < measured.entropy < 0.98
    assert measured.sparsity == 0


def test_kernels_that_are_all_alike_are_not_varied():
    alike = random_weight(8, 4, 1, 1) * random_weight(1, 1, 3, 3)
    measured = filters.quality(alike)
    assert measured.entropy == pytest.approx(0, abs=1e-9)
    assert measured.degenerate and not measured.random


def test_idle_kernels_are_those_without_a_weight_above_a_hundredth():
    weight = random_weight(4, 5, 3, 3) * np.linspace(0.4, 1.6, 9).reshape(3, 3)
    weight[:3] *= 0.009 / np.abs(weight[:3]).max() * np.abs(weight[3]).max()
    weight[3, 0, 0, 0] = 1.5 * np.abs(weight[3]).max()
    measured = filters.quality(weight)
    assert measured.sparsity == pytest.approx(15 / 20)
    assert measured.degenerate


def test_orthogonal_filters_have_1_equal_ones_0():
    basis = np.linalg.qr(random_weight(9, 9))[0]
    assert filters.orthogonality(basis[:4]) == pytest.approx(1, abs=1e-6)
    assert filters.orthogonality(np.ones((3, 9))) == pytest.approx(0, abs=1e-12)
    cosine = filters.orthogonality(np.array([[1.0, 0], [1, 1], [0, -2]]))
    assert cosine == pytest.approx(1 - np.mean([0.5**0.5, 0, 0.5**0.5]))
    assert np.isnan(filters.orthogonality(np.ones((1, 9))))


def test_a_layer_of_zeros_is_idle():
    measured = filters.quality(np.zeros((2, 2, 3, 3)))
    assert (measured.sparsity, measured.entropy, measured.orthogonality) == (1, 0, 1)
