"""Bias is 0 for the optimum and a linear model, 1 for what looks at the shortcut alone."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import BernoulliNB

from vinfo_mpi.config.schema import Planted
from vinfo_mpi.data import planted
from vinfo_mpi.numerics import shortcut_bias

CROSSED = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 250) > 0  # core, shortcut


def labels_and_factors(core, shortcut, n=6000):
    """Return bits, and factors that agree with them this often."""
    random = np.random.default_rng(0)
    bits = random.random(n) < 0.5
    agrees = random.random((n, 2)) < (core, shortcut)
    return bits[:, None], bits[:, None] == agrees


def optima(bits, factors):
    """Return what is optimal on crossed factors, a row per draw."""
    return shortcut_bias.optima(shortcut_bias.count(bits, factors), CROSSED, 0)[..., 0]


def inputs(factors, noise=0.0, seed=1):
    """Return the factors in 2 of 6 dimensions, the shortcut 8 times larger, and noise in all."""
    directions = np.linalg.qr(np.random.default_rng(1).standard_normal((6, 6)))[0][:2]
    clean = shortcut_bias.signs(factors) * (1, 8) @ directions
    return clean + noise * np.random.default_rng(seed).standard_normal(clean.shape)


def test_the_optimum_is_what_scikit_learn_decides():
    bits, factors = labels_and_factors(0.95, 0.85)
    optimal = optima(bits, factors)
    model = BernoulliNB(alpha=0.5, fit_prior=False).fit(factors, bits[:, 0])
    assert (optimal == optimal[0]).all()
    np.testing.assert_array_equal(optimal[0] > 0, model.predict(CROSSED))
    predicts = shortcut_bias.predictivity(shortcut_bias.count(bits, factors))[0]
    np.testing.assert_allclose(predicts, (factors == bits).mean(0))


@pytest.mark.parametrize("shortcut", [0.8, 0.875, 0.89, 0.9, 0.92])
def test_as_much_is_left_open_as_log_odds_have_error(shortcut):
    bits, factors = labels_and_factors(0.9, shortcut)
    seen = factors == (True, False)  # the core is on and the shortcut off
    of_bit = np.array([(seen & (bits == bit)).sum(0) for bit in (True, False)])
    images = np.array([bits.sum(), (~bits).sum()])[:, None]
    odds = np.log(of_bit / images).sum(1) @ [1, -1]
    expected = 2 * norm.cdf(odds / np.sqrt((1 / of_bit - 1 / images).sum())) - 1
    core_on = CROSSED[:, 0] & ~CROSSED[:, 1]
    assert optima(bits, factors)[:, core_on].mean() == pytest.approx(expected, abs=0.08)
    assert (optima(bits, factors)[:, CROSSED.all(1)] == 1).all()


def test_one_image_changes_the_optimum_by_little():
    bits, factors = labels_and_factors(0.9, 0.9, n=2000)
    counts = shortcut_bias.count(bits, factors)
    disagree = CROSSED[:, 0] != CROSSED[:, 1]
    following = []
    for more in range(20):  # images with the shortcut against the bit rather than with it
        counts[0, 1] += (more > 0) * np.array([[-1, 1], [0, 0]])
        chosen = shortcut_bias.optima(counts, CROSSED, 0)[:, disagree, 0]
        following.append((chosen * shortcut_bias.signs(CROSSED[disagree, 0])).mean())
    assert np.abs(np.diff(following)).max() < 0.15
    assert following[-1] - following[0] > 0.3


def test_the_optimum_has_no_bias_and_the_shortcut_all_of_it():
    optimal = optima(*labels_and_factors(0.95, 0.85))
    core, shortcut = CROSSED.T
    assert shortcut_bias.bias(optimal[0], optimal, shortcut, core) == (0, 0)
    decisions = shortcut_bias.signs(shortcut)
    value, error = shortcut_bias.bias(decisions, optimal, shortcut, core)
    assert value == 1
    of_factors, _ = shortcut_bias.reliance(decisions[:, None], CROSSED)
    np.testing.assert_array_equal(of_factors, [[0, 1]])
    assert error == pytest.approx(np.sqrt(1 / 999))  # 2 where they disagree, else 0


@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize(("core", "shortcut"), [(0.95, 0.85), (0.9, 0.9)])
def test_a_linear_model_is_unbiased_and_a_hidden_layer_is_not(core, shortcut, noise):
    bits, factors = labels_and_factors(core, shortcut)
    x, probes = inputs(factors, noise), inputs(CROSSED, noise, seed=2)
    optimal = optima(bits, factors)

    def bias(right):
        return shortcut_bias.bias(shortcut_bias.signs(right), optimal, *CROSSED.T[::-1])

    value, error = bias(LogisticRegression(C=1e4).fit(x, bits[:, 0]).predict(probes))
    assert abs(value) <= 2 * error
    assert error < (0.01 if core > shortcut else 0.5)
    torch.manual_seed(0)
    hidden = torch.nn.Sequential(torch.nn.Linear(6, 32), torch.nn.ReLU(), torch.nn.Linear(32, 1))
    optimiser = torch.optim.SGD(hidden.parameters(), 0.02)
    batch, targets = torch.tensor(x).float(), torch.tensor(bits).float()
    for _ in range(60):
        optimiser.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(hidden(batch), targets).backward()
        optimiser.step()
    value, error = bias(hidden(torch.tensor(probes).float())[:, 0].detach().numpy() > 0)
    assert value > 0.2 + (2 * error if core > shortcut else 0)


def test_probes_are_balanced_exactly():
    factors = planted.crossed(2048, 0)
    values = np.stack([factors[name] for name in planted.BITS], 1)
    _, counts = np.unique(values, axis=0, return_counts=True)
    assert counts.tolist() == [128] * 16
    np.testing.assert_array_equal(planted.bits(np.arange(8)) @ [1, 2, 4], np.arange(8))


def test_the_faintest_colour_can_be_told_from_every_image():
    options = Planted(size=16, difficulty={"colour": 1.0})
    factors = planted.crossed(64, 0)
    for index, warm in enumerate(factors["colour"]):
        pixels = planted.draw(options, 0, factors, index, planted.CROSSED).astype(float)
        light = pixels.mean(2) - pixels.mean(2).mean()
        seen = ((pixels[..., 0] - pixels[..., 2]) * light).sum()
        assert (seen > 0) == warm
