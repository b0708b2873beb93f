"""What the analyses add up over the ranks is what one process finds in all rows."""

import numpy as np
import pytest
import torch

from vinfo_mpi.numerics import cka, spectrum
from vinfo_mpi.numerics.gram import Gram
from vinfo_mpi.numerics.moments import Moments
from vinfo_mpi.numerics.profiles import Profiles


@pytest.fixture(params=[2, 41])
def parts(request):
    """Features (N, 6), outputs (N, 3) and labels (N,) of all rows, the same on every rank."""
    random = torch.Generator().manual_seed(5)
    features = torch.randn(request.param, 6, generator=random, dtype=torch.float64).relu()
    return features, features @ torch.randn(6, 3, generator=random, dtype=torch.float64), torch.arange(request.param) % 3


def one_hot(labels):
    return torch.nn.functional.one_hot(labels, 3).double()


def test_gram_and_the_spectrum_that_follows(ranks, parts):
    features, outputs, labels = parts
    whole, mine = Gram([6, 3, 3]), Gram([6, 3, 3])
    whole.add(features, outputs, one_hot(labels))
    rows = slice(ranks.block(len(labels)).start, ranks.block(len(labels)).stop)
    mine.add(features[rows], outputs[rows], one_hot(labels[rows]))
    reduced = mine.reduced(ranks.sum)
    np.testing.assert_allclose(reduced.sums, whole.sums, rtol=1e-12, atol=1e-12)
    if len(labels) > 2:
        found, expected = spectrum.of(reduced), spectrum.of(whole)
        np.testing.assert_allclose(found.quality, expected.quality, atol=1e-9)
        assert found.laziness == pytest.approx(expected.laziness, abs=1e-9)


def test_profiles(ranks, parts):
    features, _, labels = parts
    mine = Profiles(3, 6)
    rows = slice(ranks.block(len(labels)).start, ranks.block(len(labels)).stop)
    mine.add(features[rows], labels[rows])
    found = mine.reduced(ranks.sum).means()
    expected = [features[labels == label].mean(0).numpy() for label in range(3)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)  # NaN for a class without images


def test_cka_of_each_ranks_own_concepts(ranks):
    random = np.random.default_rng(1)
    x = random.random((30, 4))
    z = x @ random.random((4, 5)) + random.random((30, 5))
    rows, columns = ranks.block(30), ranks.block(5)
    moments = Moments(1, 4, 5)
    mine = slice(rows.start, rows.stop)
    moments.add(torch.from_numpy(x[mine]), torch.from_numpy(z[mine]), torch.zeros(len(rows), dtype=torch.int64))
    own = cka.of_moments(moments.reduced(ranks.sum, ranks.sum_scatter, columns))
    np.testing.assert_allclose(ranks.concatenate(own.numpy()), cka.linear(x, z), rtol=1e-10)
