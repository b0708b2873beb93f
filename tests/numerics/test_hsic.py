"""Debiased CKA against the kernel matrices of its definition."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vinfo_mpi.numerics.hsic import Hsic, cka


def of_kernels(x, y):
    """HSIC by Song et al. 2012, eq. 5: kernel matrices without their diagonals."""
    n = len(x)
    k, q = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(q, 0)
    ones = np.ones(n)
    trace = np.trace(k @ q)
    sums = (ones @ k @ ones) * (ones @ q @ ones) / ((n - 1) * (n - 2))
    return (trace + sums - 2 / (n - 2) * (ones @ k @ q @ ones)) / (n * (n - 3))


def of_sums(x, y, blocks=1):
    """Ours, of rows that come in blocks."""
    x, y = (torch.from_numpy(values - values.mean(0)) for values in (x, y))
    sums = Hsic(x.shape[1], y.shape[1])
    for rows in np.array_split(np.arange(len(x)), blocks):
        sums.add(x[rows], y[rows])
    return sums.reduced(lambda values: values)


def sample(seed, n=40, d=5, e=7):
    random = np.random.default_rng(seed)
    x = random.gamma(1.0, size=(n, d)) + 3
    return x, x @ random.normal(size=(d, e)) + random.normal(size=(n, e)) - 2


@given(st.integers(0, 10**6), st.integers(4, 60), st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_it_is_that_of_the_kernels_wherever_rows_are_centred(seed, n, blocks):
    x, y = sample(seed, n)
    # The definition needs no centred rows: what is added to every row does not count.
    assert of_sums(x, y, blocks) == pytest.approx(of_kernels(x, y), rel=1e-9, abs=1e-9)


def test_a_representation_with_itself_is_exactly_one():
    x, _ = sample(1)
    own = of_sums(x, x)
    assert cka(own, own, own) == 1.0


def test_unrelated_wide_representations_are_not_alike():
    # The plain CKA of these is 0.9: both kernels are nearly the identity.
    random = np.random.default_rng(3)
    x, y = random.normal(size=(50, 400)), random.normal(size=(50, 400))
    centred = [values - values.mean(0) for values in (x, y)]
    plain = np.linalg.norm(centred[0].T @ centred[1]) ** 2 / np.prod(
        [np.linalg.norm(values.T @ values) for values in centred]
    )
    assert plain > 0.85
    assert abs(cka(of_sums(x, y), of_sums(x, x), of_sums(y, y))) < 0.05


def test_too_few_images_and_constants_have_none():
    x, y = sample(2, 3)
    assert np.isnan(of_sums(x, y))
    constant = np.ones((10, 2))
    assert np.isnan(cka(0.0, of_sums(constant, constant), 1.0))
