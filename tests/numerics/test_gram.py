import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vinfo_mpi.numerics.gram import CUT, Gram

WIDTHS = (4, 1, 3)


def sample(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, width, generator=generator, dtype=torch.float64) + 1 for width in WIDTHS]


def gram_of(*vectors):
    gram = Gram([vector.shape[1] for vector in vectors])
    gram.add(*vectors)
    return gram


def test_everything_is_what_it_is_called():
    vectors = sample(50)
    gram = gram_of(*vectors)
    arrays = [vector.numpy() for vector in vectors]
    assert gram.n == 50
    for i, a in enumerate(arrays):
        np.testing.assert_allclose(gram.mean(i), a.mean(0), rtol=1e-12)
        for j, b in enumerate(arrays):
            np.testing.assert_allclose(
                gram.second(i, j), np.einsum("na,nb->ab", a, b) / 50, rtol=1e-12, atol=1e-12
            )
            expected = np.cov(a.T, b.T, bias=True)[: a.shape[1], a.shape[1] :]
            np.testing.assert_allclose(gram.covariance(i, j), expected, rtol=1e-12, atol=1e-12)


@given(st.lists(st.integers(0, 60), max_size=4))
def test_sums_of_parts_add_up_to_those_of_the_whole(cuts):
    vectors = sample(60)
    total = Gram(WIDTHS)
    batches = Gram(WIDTHS)
    for a, b in itertools.pairwise([0, *sorted(cuts), 60]):
        total = total + gram_of(*(vector[a:b] for vector in vectors))
        batches.add(*(vector[a:b] for vector in vectors))
    torch.testing.assert_close(total.sums, gram_of(*vectors).sums, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(batches.sums, total.sums, rtol=1e-12, atol=1e-12)


def test_reduced_sums_over_the_ranks_in_place():
    vectors = sample(40)
    gram = gram_of(*vectors)
    assert gram.reduced(lambda sums: sums.mul_(3)) is gram
    assert gram.n == 120
    torch.testing.assert_close(gram.second(0, 2), gram_of(*vectors).second(0, 2))
    assert gram.reduced() is gram
    assert gram.n == 120


def test_float32_parts_are_multiplied_in_float64():
    vectors = [vector.float() for vector in sample(1000)]
    torch.testing.assert_close(
        gram_of(*vectors).sums,
        gram_of(*(vector.double() for vector in vectors)).sums,
        rtol=0,
        atol=0,
    )


@pytest.mark.parametrize("centred", [True, False])
def test_principal_axes_are_those_of_a_singular_value_decomposition(centred):
    [x, *_] = sample(50)
    values, vectors = gram_of(x).principal(0, centred)
    raw = x.numpy() - (x.numpy().mean(0) if centred else 0)
    _, singular, axes = np.linalg.svd(raw / np.sqrt(50))
    np.testing.assert_allclose(values, singular**2, rtol=1e-10)
    np.testing.assert_allclose(np.abs(axes @ vectors.numpy()), np.eye(4), atol=1e-8)


def test_principal_axes_without_variance_are_dropped():
    [x, *_] = sample(50)
    copied = torch.cat([x, x[:, :2], torch.full((50, 1), 7.0), x[:, :1] * CUT**0.5 / 100], 1)
    assert len(gram_of(copied).principal(0, centred=True)[0]) == 4
    assert len(gram_of(copied).principal(0, centred=False)[0]) == 5
    # A spread that is lost against the mean, whose square has but 16 digits.
    assert len(gram_of(1e4 + 1e-3 * x).principal(0, centred=True)[0]) == 0
    assert len(gram_of(torch.zeros(50, 3)).principal(0, centred=False)[0]) == 0


def test_whitening_gives_an_orthonormal_basis_of_what_the_variables_span():
    """However small a variable is; constant, copied and dependent ones add nothing."""
    _, _, x = sample(50)
    x = x * torch.tensor([1.0, 1e-9, 1e9])
    mixed = torch.cat(
        [x, x[:, :1] + x[:, 2:], torch.full((50, 1), 7.0), torch.zeros(50, 1), x[:, 1:2]], 1
    )
    whitening = gram_of(mixed).whitening(0)
    basis = ((mixed - mixed.mean(0)) @ whitening).numpy() / np.sqrt(50)
    np.testing.assert_allclose(basis.T @ basis, np.eye(3), atol=1e-8)
    expected = np.linalg.qr((x - x.mean(0)).numpy()).Q
    np.testing.assert_allclose(basis @ basis.T, expected @ expected.T, atol=1e-8)
