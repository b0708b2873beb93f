import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from vinfo_mpi.numerics import directions
from vinfo_mpi.numerics.gram import Gram

N = 80
D = 6


def activations(seed=0):
    random = np.random.default_rng(seed)
    return np.maximum(0, random.normal(size=(N, D)) @ random.normal(size=(D, D)) + 1)


def gram_of(*vectors):
    gram = Gram([vector.shape[1] for vector in vectors])
    gram.add(*(torch.from_numpy(vector) for vector in vectors))
    return gram


def codes(fitted, x):
    return (x - fitted.offset.numpy()) @ fitted.projection.numpy()


def rebuilt(fitted, x):
    return fitted.offset.numpy() + codes(fitted, x) @ fitted.atoms.numpy()


def test_components_are_those_of_scikit_learn():
    x = activations()
    fitted = directions.pca(gram_of(x))
    expected = PCA().fit(x)
    signs = np.sign(np.sum(fitted.atoms.numpy() * expected.components_, axis=1))
    np.testing.assert_allclose(fitted.atoms, expected.components_ * signs[:, None], atol=1e-8)
    np.testing.assert_allclose(codes(fitted, x), expected.transform(x) * signs, atol=1e-8)
    np.testing.assert_allclose(fitted.offset, expected.mean_)


def test_eigenfunctions_are_those_of_a_singular_value_decomposition():
    x = activations()
    fitted = directions.eigenfunctions(gram_of(x))
    left, singular, right = np.linalg.svd(x / np.sqrt(N), full_matrices=False)
    signs = np.sign(np.sum(fitted.atoms.numpy() * right, axis=1))
    np.testing.assert_allclose(codes(fitted, x), np.sqrt(N) * left * signs, atol=1e-8)
    np.testing.assert_allclose(fitted.atoms, (singular * signs)[:, None] * right, atol=1e-8)
    np.testing.assert_allclose(codes(fitted, x).T @ codes(fitted, x) / N, np.eye(D), atol=1e-10)


def test_the_full_set_rebuilds_exactly():
    x = activations()
    for fitted in (
        directions.pca(gram_of(x)),
        directions.eigenfunctions(gram_of(x)),
        directions.neurons(D),
    ):
        assert fitted.projection.shape == (D, D)
        np.testing.assert_allclose(rebuilt(fitted, x), x, atol=1e-10)


@pytest.mark.parametrize("method", [directions.pca, directions.eigenfunctions])
def test_components_without_variance_are_dropped(method):
    x = np.hstack([activations(), activations()[:, :2], np.zeros((N, 1))])
    fitted = method(gram_of(x))
    assert fitted.atoms.shape == (D, D + 3)
    np.testing.assert_allclose(rebuilt(fitted, x), x, atol=1e-8)
    assert method(gram_of(np.zeros((N, 2)))).atoms.shape == (0, 2)


@pytest.mark.parametrize("method", [directions.pca, directions.eigenfunctions])
def test_the_largest_loading_is_positive(method):
    x = activations()
    for fitted in (method(gram_of(x)), method(gram_of(-x))):
        projection = fitted.projection.numpy()
        assert (projection[np.abs(projection).argmax(0), np.arange(D)] > 0).all()
        assert (fitted.atoms.numpy()[np.arange(D), np.abs(projection).argmax(0)] > 0).all()


@pytest.mark.parametrize("rounding", [1e-12, -1e-12])
def test_of_equal_loadings_the_first_is_positive(rounding):
    """Two channels that differ in sign: rounding, which differs with the ranks, does not choose."""
    x = activations()[:, :1] * np.array([[1, -1 + rounding]])
    for fitted in (directions.pca(gram_of(x)), directions.eigenfunctions(gram_of(x))):
        assert fitted.projection[0, 0] > 0 > fitted.projection[1, 0]


def test_neurons_are_the_channels():
    np.testing.assert_array_equal(codes(directions.neurons(D), activations()), activations())


def linear_fit(z, x):
    """NumPy's least squares with an intercept: weights and intercept."""
    weights = np.linalg.lstsq(np.hstack([z, np.ones((N, 1))]), x, rcond=None)[0]
    return weights[:-1], weights[-1]


def test_the_decoder_is_least_squares_with_an_intercept():
    x = activations()
    # Codes of very different sizes, few enough that the fit is not exact.
    z = np.random.default_rng(1).random((N, 4)) * [1, 1e-7, 1e7, 1] + x[:, :4] * [1, 1e-7, 1e7, 0]
    atoms, offset = directions.decoder(gram_of(z, x))
    expected_atoms, expected_offset = linear_fit(z / z.std(0), x)
    np.testing.assert_allclose(atoms.numpy() * z.std(0)[:, None], expected_atoms, atol=1e-8)
    np.testing.assert_allclose(offset, expected_offset, atol=1e-8)


def test_the_decoder_of_dependent_and_dead_codes():
    x = activations()
    z = x[:, :3] + np.random.default_rng(1).random((N, 3))
    many = np.hstack([z, z[:, :1], z[:, 1:2] + z[:, 2:], np.zeros((N, 1)), np.full((N, 1), 0.1)])
    atoms, offset = directions.decoder(gram_of(many, x))
    expected_atoms, expected_offset = linear_fit(z, x)
    rebuilt_x = many @ atoms.numpy() + offset.numpy()
    np.testing.assert_allclose(rebuilt_x, z @ expected_atoms + expected_offset, atol=1e-8)
    np.testing.assert_allclose(atoms[0], atoms[3], atol=1e-8)  # the smallest of all equally good
    np.testing.assert_allclose(atoms[5:], 0, atol=1e-8)


def test_the_decoder_of_principal_components_gives_their_atoms():
    x = activations()
    fitted = directions.pca(gram_of(x))
    atoms, offset = directions.decoder(gram_of(codes(fitted, x), x))
    torch.testing.assert_close(atoms, fitted.atoms, rtol=0, atol=1e-8)
    torch.testing.assert_close(offset, fitted.offset, rtol=0, atol=1e-8)
