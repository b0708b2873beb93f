"""What the analyses add up over the ranks is what one process finds in all rows."""

import numpy as np
import pytest
import torch

from vinfo_mpi.numerics import cka, collapse, spectrum
from vinfo_mpi.numerics.collapse import Centres, Scatter
from vinfo_mpi.numerics.gram import Gram
from vinfo_mpi.numerics.moments import Moments
from vinfo_mpi.numerics.profiles import Profiles


@pytest.fixture(params=[2, 41])
def arrays(request):
    """Features (N, 6), outputs (N, 3) and labels (N,) of all rows, the same on every rank."""
    random = torch.Generator().manual_seed(5)
    features = torch.randn(request.param, 6, generator=random, dtype=torch.float64).relu()
    outputs = features @ torch.randn(6, 3, generator=random, dtype=torch.float64)
    return features, outputs, torch.arange(request.param) % 3


def rows_of_rank(ranks, n):
    block = ranks.block(n)
    return slice(block.start, block.stop)


def one_hot(labels):
    return torch.nn.functional.one_hot(labels, 3).double()


def test_gram_and_the_spectrum_that_follows(ranks, arrays):
    features, outputs, labels = arrays
    whole = Gram([6, 3, 3])
    whole.add(features, outputs, one_hot(labels))
    rows = rows_of_rank(ranks, len(labels))
    of_rank = Gram([6, 3, 3])
    of_rank.add(features[rows], outputs[rows], one_hot(labels[rows]))
    reduced = of_rank.reduced(ranks.sum)
    np.testing.assert_allclose(reduced.sums, whole.sums, rtol=1e-12, atol=1e-12)
    if len(labels) > 2:
        together = spectrum.from_gram(reduced)
        expected = spectrum.from_gram(whole)
        np.testing.assert_allclose(together.quality, expected.quality, atol=1e-9)
        assert together.laziness == pytest.approx(expected.laziness, abs=1e-9)


def test_profiles(ranks, arrays):
    features, _, labels = arrays
    profiles = Profiles(3, 6)
    rows = rows_of_rank(ranks, len(labels))
    profiles.add(features[rows], labels[rows])
    means = profiles.reduced(ranks.sum).means()
    expected = [features[labels == label].mean(0).numpy() for label in range(3)]
    np.testing.assert_allclose(means, expected, rtol=1e-12)  # NaN for a class without images


def test_cka_of_the_concepts_of_each_rank(ranks):
    random = np.random.default_rng(1)
    x = random.random((30, 4))
    z = x @ random.random((4, 5)) + random.random((30, 5))
    rows = rows_of_rank(ranks, 30)
    fold = torch.zeros(len(x[rows]), dtype=torch.int64)
    moments = Moments(1, 4, 5)
    moments.add(torch.from_numpy(x[rows]), torch.from_numpy(z[rows]), fold)
    moments = moments.reduced(ranks.sum, ranks.reduce_scatter, ranks.block(5))
    of_rank = cka.from_moments(moments).numpy()
    np.testing.assert_allclose(ranks.concatenate(of_rank), cka.linear(x, z), rtol=1e-10)


def test_neural_collapse(ranks, arrays):
    features, _, labels = arrays
    fold = torch.arange(len(labels)) // 3 % 2
    weight = torch.arange(18.0, dtype=torch.float64).reshape(3, 6)

    def measured(rows, reduce):
        centres = Centres(3, 2, 6)
        centres.add(features[rows], labels[rows], fold[rows])
        scatter = Scatter(centres.reduced(reduce))
        of_fold = [torch.nonzero(fold[rows] == number)[:, 0] for number in range(2)]
        scatter.add(features[rows], labels[rows], of_fold)
        scatter.reduced(reduce)
        return [collapse.measure(scatter.without(fold), weight) for fold in (None, 0)]

    if len(labels) > 2:
        together = measured(rows_of_rank(ranks, len(labels)), ranks.sum)
        for of_ranks, of_all in zip(
            together, measured(slice(None), lambda sums: sums), strict=True
        ):
            assert of_ranks == pytest.approx(of_all, rel=1e-12)
