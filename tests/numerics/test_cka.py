import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vinfo_mpi.numerics import cka
from vinfo_mpi.numerics.moments import Moments

FOLDS = 3


def data(n=60, d=8, k=5, seed=0):
    """Correlated activations of several scales, and codes that hang on them more or less."""
    random = np.random.default_rng(seed)
    mixed = random.normal(size=(n, d)) @ random.normal(size=(d, d))
    x = mixed * 10.0 ** random.uniform(-1, 1, d) + 1
    z = np.abs(x @ random.normal(size=(d, k)) + random.normal(size=(n, k)) * np.linspace(0, 20, k))
    return x, z


def moments_of(x, z, first=0):
    moments = Moments(FOLDS, x.shape[1], z.shape[1])
    fold = torch.arange(first, first + len(x)) % FOLDS
    moments.add(torch.from_numpy(x), torch.from_numpy(z), fold)
    return moments


def by_definition(x, z):
    """HSIC(K, L) / √(HSIC(K, K) HSIC(L, L)) of the linear kernels, concept by concept: (K,)."""
    n = len(x)
    centring = np.eye(n) - 1 / n

    def hsic(a, b):
        return np.trace(a @ centring @ b @ centring)

    kernel = x @ x.T
    size = hsic(kernel, kernel)
    concepts = [np.outer(column, column) for column in z.T]
    return np.array(
        [hsic(kernel, concept) / np.sqrt(size * hsic(concept, concept)) for concept in concepts]
    )


@given(st.integers(4, 60), st.integers(1, 12), st.integers(1, 6), st.integers(0, 1000))
def test_cka_is_that_of_its_definition(n, d, k, seed):
    x, z = data(n, d, k, seed)
    expected = by_definition(x, z)
    np.testing.assert_allclose(cka.linear(x, z), expected, atol=1e-8)
    np.testing.assert_allclose(cka.from_moments(moments_of(x, z)), expected, atol=1e-8)


def test_cka_far_from_zero():
    """A mean of a million times the spread costs no digits, if it is subtracted."""
    x, z = data()
    np.testing.assert_allclose(cka.linear(x + 1e6, z - 1e6), by_definition(x, z), atol=1e-8)


@given(
    st.floats(0.01, 100),
    st.floats(-100, 100).filter(lambda scale: abs(scale) > 0.01),
    st.integers(0, 1000),
)
def test_cka_ignores_rotation_and_scale_of_x_and_scale_of_z(scale_x, scale_z, seed):
    x, z = data(seed=seed)
    rotation = np.linalg.qr(np.random.default_rng(seed + 1).normal(size=(8, 8))).Q
    np.testing.assert_allclose(
        cka.linear(scale_x * x @ rotation + 3, scale_z * z), cka.linear(x, z), atol=1e-8
    )


def test_cka_of_a_concept_with_itself_is_1():
    x, _ = data(d=1)
    np.testing.assert_allclose(cka.linear(x, -2 * x + 5), [1])


def test_moments_of_parts_give_the_cka_of_the_whole():
    x, z = data()
    parts = moments_of(x[:25], z[:25]) + moments_of(x[25:], z[25:], first=25)
    torch.testing.assert_close(
        cka.from_moments(parts), cka.from_moments(moments_of(x, z)), rtol=1e-10, atol=0
    )


@pytest.mark.parametrize("constant", [0.0, 0.1])
def test_what_is_constant_has_no_cka(constant):
    x, z = data()
    z[:, 1] = constant
    assert np.isnan(cka.linear(x, z)).tolist() == [False, True, False, False, False]
    x[:, 2:] = constant
    expected = by_definition(x[:, :2], z[:, [0, 2, 3, 4]])
    np.testing.assert_allclose(cka.linear(x, z)[[0, 2, 3, 4]], expected, atol=1e-9)
    x[:] = constant
    assert np.isnan(cka.linear(x, z)).all()


def test_a_concept_that_is_nowhere_has_none():
    x = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    z = np.array([[1.0], [1.0], [-1.0], [-1.0]])
    assert cka.linear(x, z).tolist() == [0]
