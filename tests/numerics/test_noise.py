import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from vinfo_mpi.numerics import noise
from vinfo_mpi.numerics.noise import Spread

KEYS = np.array(
    [[image, level, draw] for image in (0, 7, 10**9) for level in (0, 1) for draw in (0, 1, 2)]
)


def test_noise_is_standard_normal_and_that_of_different_keys_independent():
    drawn = noise.normal(3, KEYS, (3, 20, 20))
    assert drawn.shape == (18, 3, 20, 20) and drawn.dtype == np.float32
    assert kstest(drawn.ravel(), "norm").pvalue > 0.01
    correlations = np.corrcoef(drawn.reshape(18, -1)) - np.eye(18)
    assert np.abs(correlations).max() < 5 / np.sqrt(1200)


@pytest.mark.parametrize("threads", [1, 3])
def test_noise_is_the_same_by_several_threads(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        drawn = noise.normal(3, KEYS, (3, 20, 20))
    finally:
        torch.set_num_threads(before)
    for values, key in zip(drawn, KEYS.tolist(), strict=True):
        alone = np.random.default_rng([3, *key]).standard_normal((3, 20, 20), np.float32)
        assert np.array_equal(values, alone)


@given(st.permutations(range(18)), st.integers(1, 17))
def test_noise_follows_from_seed_and_key_alone(order, cut):
    whole = noise.normal(3, KEYS, (5,))
    pieces = [noise.normal(3, KEYS[rows], (5,)) for rows in (order[:cut], order[cut:])]
    assert (np.concatenate(pieces) == whole[order]).all()
    assert not np.isin(noise.normal(4, KEYS, (5,)), whole).any()


@given(st.integers(0, 1000), st.integers(1, 40))
def test_variances_are_those_of_numpy(seed, cut):
    random = np.random.default_rng(seed)
    group = random.permutation(np.repeat(np.arange(4), 12))
    values = random.normal(size=(48, 3)) * 10.0 ** random.integers(-3, 3, 3) + 1000
    about = torch.full((4, 3), 1000.0)
    whole = Spread(about)
    first = Spread(about)
    second = Spread(about)
    whole.add(torch.from_numpy(values), torch.from_numpy(group))
    first.add(torch.from_numpy(values[:cut]), torch.from_numpy(group[:cut]))
    second.add(torch.from_numpy(values[cut:]), torch.from_numpy(group[cut:]))
    expected = [values[group == number].var(0, ddof=1) for number in range(4)]
    np.testing.assert_allclose(whole.variance(12), expected, rtol=1e-9)
    ranges = [np.ptp(values[group == number], 0) for number in range(4)]
    np.testing.assert_allclose(whole.range(), ranges, rtol=1e-9)
    in_two = first.range(lambda largest: torch.maximum(largest, second.extremes))
    np.testing.assert_allclose(in_two, ranges, rtol=1e-9)
    of_both = first.variance(12, lambda sums: sums.add_(second.sums))
    np.testing.assert_allclose(of_both, expected, rtol=1e-9)


@pytest.mark.parametrize("about", [0.0, 0.3, 7.3])
def test_what_is_constant_has_no_variance(about):
    values = torch.linspace(0, 3, 200, dtype=torch.float64)
    spread = Spread(torch.full((1, 200), about))
    spread.add(values.repeat(7, 1), torch.zeros(7, dtype=torch.int64))
    assert (spread.variance(7) == 0).all()
