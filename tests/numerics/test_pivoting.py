import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls as reference

from vinfo_mpi.numerics import pivoting


def problems(count, size, channels, seed=0):
    """Return atoms (count, size, channels) and vectors (count, channels) of both signs."""
    random = np.random.default_rng(seed)
    atoms = random.standard_normal((count, size, channels)) + 0.5
    return torch.from_numpy(atoms), torch.from_numpy(random.standard_normal((count, channels)))


def solved(atoms, x, allowed=None):
    target = (atoms @ x[:, :, None])[:, :, 0]
    if allowed is None:
        allowed = torch.ones_like(target, dtype=torch.bool)
    return pivoting.solve(atoms @ atoms.mT, target, allowed, 1e-10 * target.abs().amax(1))


@settings(max_examples=20, deadline=None)
@given(size=st.integers(1, 12), seed=st.integers(0, 2**16))
def test_solutions_are_those_of_scipy(size, seed):
    atoms, x = problems(8, size, 16, seed)
    solution = solved(atoms, x)
    expected = np.stack(
        [reference(a.T.numpy(), row.numpy())[0] for a, row in zip(atoms, x, strict=True)]
    )
    np.testing.assert_allclose(solution.values, expected, atol=1e-8)
    assert solution.solved.all()
    assert (solution.positive | (solution.values == 0)).all()


def test_variables_that_may_not_be_positive_are_zero():
    atoms, x = problems(8, 10, 16)
    allowed = torch.arange(10) < torch.arange(1, 9)[:, None]
    values = solved(atoms, x, allowed).values
    for i in range(8):
        expected = reference(atoms[i, : i + 1].T.numpy(), x[i].numpy())[0]
        np.testing.assert_allclose(values[i, : i + 1], expected, atol=1e-8)
    assert (values[~allowed] == 0).all()


@pytest.mark.parametrize(("count", "failing", "together"), [(3, 1, 1024), (7, 3, 2)])
def test_a_factorisation_that_fails_is_said_and_leaves_the_others_alone(
    monkeypatch, count, failing, together
):
    """Also where it is in another part than they are."""
    monkeypatch.setattr(pivoting, "TOGETHER", together)
    atoms, x = problems(count, 6, 16)
    products = atoms @ atoms.mT
    products[failing] = -products[failing]
    target = (atoms @ x[:, :, None])[:, :, 0]
    allowed = torch.ones_like(target, dtype=torch.bool)
    solution = pivoting.solve(products, target, allowed, target.new_zeros(count))
    assert solution.solved.tolist() == [i != failing for i in range(count)]
    assert (solution.values[failing] == 0).all()
    expected = reference(atoms[-1].T.numpy(), x[-1].numpy())[0]
    np.testing.assert_allclose(solution.values[-1], expected, atol=1e-8)


def test_many_problems_are_factorised_in_parts_by_their_size(monkeypatch):
    """Each as wide as its widest, whatever the order of the problems; one has no variables."""
    atoms, x = problems(30, 10, 16)
    allowed = torch.arange(10) < (7 * torch.arange(30) % 11)[:, None]
    together = solved(atoms, x, allowed)
    widths = []
    cholesky = torch.linalg.cholesky_ex

    def noted(a):
        widths.append(a.shape[1])
        return cholesky(a)

    monkeypatch.setattr(torch.linalg, "cholesky_ex", noted)
    monkeypatch.setattr(pivoting, "TOGETHER", 8)
    in_parts = solved(atoms, x, allowed)
    assert widths[:4] == [2, 5, 8, 10]
    torch.testing.assert_close(in_parts.values, together.values, rtol=1e-9, atol=1e-11)
    assert torch.equal(in_parts.positive, together.positive)
    assert in_parts.solved.all()
    for i in range(30):
        number = int(allowed[i].sum())
        expected = reference(atoms[i, :number].T.numpy(), x[i].numpy())[0] if number else 0
        np.testing.assert_allclose(in_parts.values[i, :number], expected, atol=1e-8)
