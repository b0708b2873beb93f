import numpy as np
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


def test_a_factorisation_that_fails_is_said_and_leaves_the_others_alone():
    atoms, x = problems(3, 6, 16)
    products = atoms @ atoms.mT
    products[1] = -products[1]
    target = (atoms @ x[:, :, None])[:, :, 0]
    allowed = torch.ones_like(target, dtype=torch.bool)
    solution = pivoting.solve(products, target, allowed, target.new_zeros(3))
    assert solution.solved.tolist() == [True, False, True]
    expected = reference(atoms[2].T.numpy(), x[2].numpy())[0]
    np.testing.assert_allclose(solution.values[2], expected, atol=1e-8)
