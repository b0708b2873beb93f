import numpy as np
import pytest
import torch
from scipy.optimize import nnls as reference
from sklearn.decomposition import non_negative_factorization

from vinfo_mpi.numerics import nnls
from vinfo_mpi.numerics.nnls_rows import OpenRows


def problem(n=40, d=16, atoms=48, seed=0):
    """Rows that no code reproduces, against an over-complete dictionary of correlated atoms."""
    random = np.random.default_rng(seed)
    dictionary = random.gamma(0.5, size=(atoms, d)) + 0.2
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    return torch.from_numpy(random.gamma(0.4, size=(n, d))), torch.from_numpy(dictionary)


def objective(x, atoms, codes):
    return (x - codes @ atoms).square().sum(1).numpy()


@pytest.mark.parametrize("shape", [(16, 48), (30, 10)])
def test_codes_are_as_good_as_those_of_scipy(shape):
    d, count = shape
    x, atoms = problem(d=d, atoms=count)
    encoded = nnls.encode(x, atoms, tolerance=1e-6)
    best = np.array([reference(atoms.T.numpy(), row)[1] ** 2 for row in x.numpy()])
    assert (objective(x, atoms, encoded.codes) <= best + 1e-4 * x.square().sum(1).numpy()).all()
    assert (encoded.codes >= 0).all()
    assert (encoded.residual <= 1e-6).all()


def test_a_unique_code_equals_that_of_scipy():
    x, atoms = problem(d=30, atoms=10)
    encoded = nnls.encode(x, atoms, tolerance=1e-12, max_iterations=100_000)
    expected = np.stack([reference(atoms.T.numpy(), row)[0] for row in x.numpy()])
    np.testing.assert_allclose(encoded.codes, expected, atol=1e-8)


def test_codes_are_as_good_as_those_of_scikit_learn():
    x, atoms = problem()
    encoded = nnls.encode(x, atoms, tolerance=1e-6)
    codes = non_negative_factorization(
        x.numpy(), H=atoms.numpy(), n_components=len(atoms), update_H=False, tol=1e-8, max_iter=5000
    )[0]
    peer = objective(x, atoms, torch.from_numpy(codes)).sum()
    assert objective(x, atoms, encoded.codes).sum() <= peer * (1 + 1e-4)


def test_the_residual_is_that_of_the_optimality_conditions():
    x, atoms = problem()
    encoded = nnls.encode(x, atoms, tolerance=1e-3)
    gradient = encoded.codes @ atoms @ atoms.T - x @ atoms.T
    expected = torch.minimum(encoded.codes, gradient).abs().amax(1) / (x @ atoms.T).abs().amax(1)
    torch.testing.assert_close(encoded.residual, expected, rtol=1e-6, atol=1e-10)
    assert (expected <= 1e-3).all()


def test_a_code_depends_on_its_row_alone():
    x, atoms = problem()
    whole = nnls.encode(x, atoms).codes
    alone = torch.cat([nnls.encode(x[i : i + 1], atoms).codes for i in range(len(x))])
    torch.testing.assert_close(alone, whole, rtol=1e-9, atol=1e-11)


def test_rows_that_take_the_places_of_others_get_the_same_codes():
    x, atoms = problem()
    whole = nnls.encode(x, atoms)
    in_turn = nnls.Dictionary(atoms).encode(x, together=7)
    torch.testing.assert_close(in_turn.codes, whole.codes, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(in_turn.residual, whole.residual, rtol=1e-6, atol=1e-12)


def test_float32_reaches_the_residual_and_error_of_float64():
    """The residual is that of float64: computed again here."""
    x, atoms = problem(n=200)
    double = nnls.encode(x, atoms)
    single = nnls.Dictionary(atoms).encode(x, precision=torch.float32)
    gradient = single.codes @ atoms @ atoms.T - x @ atoms.T
    residual = torch.minimum(single.codes, gradient).abs().amax(1) / (x @ atoms.T).abs().amax(1)
    torch.testing.assert_close(single.residual, residual, rtol=1e-6, atol=1e-12)
    assert (residual <= 1e-4).all()
    assert (single.codes >= 0).all()
    assert not torch.equal(single.codes, double.codes)
    difference = objective(x, atoms, single.codes) - objective(x, atoms, double.codes)
    assert (np.abs(difference) <= 1e-4 * x.square().sum(1).numpy()).all()


def test_float32_comes_close_to_codes_of_many_atoms_with_a_common_direction():
    """Where what is large is formed and taken away again, it stops at 7e-6."""
    x, atoms = problem(n=20, d=32, atoms=400)
    rows = OpenRows(nnls.Dictionary(atoms, "directions")._single, x, len(x), None)
    for _ in range(30):
        rows.iterate(10)
        residual = rows.violation()
        rows.balance()
    assert residual.median() < 3e-6


def test_what_float32_cannot_reach_float64_does():
    x, atoms = problem(d=30, atoms=10)
    expected = np.stack([reference(atoms.T.numpy(), row)[0] for row in x.numpy()])
    prepared = nnls.Dictionary(atoms)
    exact = prepared.encode(x, 1e-12, 100_000, torch.float32)
    np.testing.assert_allclose(exact.codes, expected, atol=1e-8)
    assert (exact.residual <= 1e-12).all()
    assert prepared.encode(x[:0], precision=torch.float32).codes.shape == (0, 10)


def test_what_is_not_reached_is_said():
    x, atoms = problem()
    encoded = nnls.encode(x, atoms, tolerance=1e-12, max_iterations=3)
    assert encoded.residual.max() > 1e-12
    assert encoded.codes.abs().sum() > 0


def test_rows_of_zeros_and_no_rows():
    _, atoms = problem()
    assert nnls.encode(torch.zeros(2, 16), atoms).codes.abs().sum() == 0
    assert nnls.encode(torch.zeros(0, 16), atoms).codes.shape == (0, 48)
