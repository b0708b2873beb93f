import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from sklearn.kernel_approximation import RBFSampler
from sklearn.metrics.pairwise import rbf_kernel

from vinfo_mpi.numerics import fourier, ridge

D = 6


def activations(n=60, seed=0):
    """Channels of several scales, far from zero; the last one constant."""
    random = np.random.default_rng(seed)
    x = 5 + random.normal(size=(n, D)) * 10.0 ** np.arange(-2, D - 2)
    x[:, -1] = 3
    return torch.from_numpy(x)


def standardised(x):
    u = (x - x.mean(0)).numpy()
    u[:, :-1] /= x.std(0, correction=0).numpy()[:-1]
    u[:, -1] = 0
    return u


def features(x, count, seed=0):
    return fourier.make(x.mean(0), x.std(0, correction=0), x, count, seed)


def kernel(x, count, seed):
    waves = features(x, count, seed)(x)[:, D:].numpy()
    return waves @ waves.T


def gamma_of(u):
    return 1 / (2 * np.median(pdist(u)) ** 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_first_features_are_the_standardised_activations(dtype):
    x = activations().to(dtype)
    values = features(x.double(), 10)(x)
    assert values.shape == (60, D + 10)
    assert values.dtype == torch.float64
    np.testing.assert_allclose(values[:, :D], standardised(x.double()), atol=1e-12)


def test_a_constant_channel_has_no_part_in_the_features():
    x = activations()
    moved = x.clone()
    moved[:, -1] += 2
    assert torch.equal(features(x, 10)(moved), features(x, 10)(x))


@pytest.mark.parametrize(("count", "seeds"), [(20, 400), (2000, 100)])
def test_the_kernel_is_gaussian_up_to_one_over_the_root_of_the_number_of_waves(count, seeds):
    x = activations()
    u = standardised(x)
    gaussian = rbf_kernel(u, gamma=gamma_of(u))
    squared = np.mean(
        [np.square(kernel(x, count, seed) - gaussian) for seed in range(seeds)], axis=0
    )
    # The variance of 2 cos(a) cos(b) = cos(a - b) + cos(a + b), where k(2δ) = k(δ)⁴.
    expected = (1 - gaussian**2 + gaussian**4 / 2) / count
    assert squared.mean() == pytest.approx(expected.mean(), rel=0.15)


def test_the_mean_kernel_equals_that_of_scikit_learn():
    x = activations()
    u = standardised(x)
    ours = np.mean([kernel(x, 200, seed) for seed in range(200)], axis=0)
    samplers = [
        RBFSampler(gamma=gamma_of(u), n_components=200, random_state=seed) for seed in range(200)
    ]
    waves = [sampler.fit_transform(u) for sampler in samplers]
    theirs = np.mean([features @ features.T for features in waves], axis=0)
    np.testing.assert_allclose(ours, theirs, atol=6 * (2 / 200 / 200) ** 0.5)


def test_a_seed_gives_the_same_waves_and_more_waves_contain_fewer():
    x = activations()
    first = features(x, 20)
    again = features(x, 20)
    other_seed = features(x, 20, seed=1)
    more = features(x, 50)
    assert torch.equal(first.frequencies, again.frequencies)
    assert torch.equal(first.phases, again.phases)
    assert (first.frequencies != other_seed.frequencies).all()
    assert (first.phases != other_seed.phases).all()
    assert torch.equal(more.frequencies[:, :20], first.frequencies)
    assert torch.equal(more.phases[:20], first.phases)
    assert 0 <= more.phases.min() < 1 and 5 < more.phases.max() < 2 * np.pi


@pytest.mark.parametrize("pilot", [torch.full((5, D), 2.0), torch.zeros(1, D), torch.zeros(0, D)])
def test_pilot_rows_without_a_distance_give_finite_features(pilot):
    x = activations()
    made = fourier.make(x.mean(0), x.std(0), pilot.double(), 8)
    assert made(x).isfinite().all()


def test_equal_pilot_rows_have_no_say_in_the_bandwidth():
    x = activations(n=3)
    often = x[[0] * 20 + [1, 2]]
    few = fourier.make(x.mean(0), x.std(0), often, 8)
    distances = pdist(((x - x.mean(0)) / x.std(0))[:, :-1].numpy())
    bandwidth = np.median([*distances[:2].repeat(20), distances[2]])
    unit = np.random.default_rng(0).spawn(2)[0].standard_normal((8, D)).T
    np.testing.assert_allclose(few.frequencies, unit / bandwidth)


def test_what_is_not_linear_becomes_decodable():
    random = np.random.default_rng(0)
    x = random.normal(size=(3000, 4))
    z = np.stack([x[:, 0] ** 2, x[:, 1] * x[:, 2], x[:, 3], random.normal(size=3000)], axis=1)
    tensor = torch.from_numpy(x)
    wide = fourier.make(tensor.mean(0), tensor.std(0), tensor[:100], 400)(tensor).numpy()
    plain = ridge.r2(x, z).r2
    widened = ridge.r2(wide, z).r2
    assert (plain[:2] < 0.02).all()
    assert (widened[:2] > 0.95).all()
    assert widened[2] > 0.999
    assert max(plain[3], widened[3]) < 0.02
