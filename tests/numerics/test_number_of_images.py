"""Complexity from few images, from half of them, and what that says of many."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.linear_model import Ridge

from vinfo_mpi.numerics import complexity, ridge
from vinfo_mpi.numerics.moments import Moments

FOLDS = 5
SHARE = ridge.half_of_folds(FOLDS) / (FOLDS - 1)
CONCEPTS = 60


def drawn(n, random, d=16):
    """Return three taps that see the same sources ever better, and codes made of the sources."""
    world = np.random.default_rng(0)
    sources = random.gamma(1.0, size=(n, 12))
    taps = [
        sources @ world.normal(size=(12, d)) / 12**0.5 + noise * random.normal(size=(n, d))
        for noise in (1.5, 0.9, 0.3)
    ]
    pure = sources @ world.normal(size=(12, CONCEPTS)) + 1
    return taps, np.maximum(0, pure + 2 * random.normal(size=(n, CONCEPTS)))


def moments_of(x, z):
    moments = Moments(FOLDS, x.shape[1], z.shape[1])
    moments.add(torch.tensor(x), torch.tensor(z), torch.arange(len(z)) % FOLDS)
    return moments


def scores(moments, learning=lambda moments, fold: (moments, fold)):
    squared = []
    for fold in range(FOLDS):
        of_fold = learning(moments, fold)
        squared.append(ridge.errors(ridge.factorise(*of_fold), *of_fold, ridge.PENALTIES))
    return ridge.finish(torch.stack(squared), moments, ridge.PENALTIES)


def test_half_is_what_regressions_on_half_of_the_folds_give():
    taps, z = drawn(200, np.random.default_rng(1))
    x = taps[0]
    fold = np.arange(200) % FOLDS
    errors = np.zeros((len(ridge.PENALTIES), CONCEPTS))
    for held_out in range(FOLDS):
        learned = np.isin(fold, [(held_out + 1) % FOLDS, (held_out + 2) % FOLDS])
        test = fold == held_out
        mean = x[learned].mean(0)
        scale = x[learned].std(0)
        for row, penalty in enumerate(ridge.PENALTIES):
            model = Ridge(alpha=penalty * learned.sum()).fit(
                (x[learned] - mean) / scale, z[learned]
            )
            errors[row] += np.square(z[test] - model.predict((x[test] - mean) / scale)).sum(0)
    expected = np.maximum(0, 1 - errors.min(0) / np.square(z - z.mean(0)).sum(0))
    np.testing.assert_allclose(scores(moments_of(x, z), ridge.half).r2, expected, atol=1e-9)


def test_what_falls_with_the_number_of_images_is_extrapolated():
    sizes = np.array([100.0, 400.0])
    few, many = 0.3 + 5 / sizes
    assert complexity.extrapolated(many, few, 0.25) == pytest.approx(0.3, abs=1e-12)


def test_intervals_hold_the_complexity_of_many_images_once_it_is_extrapolated():
    random = np.random.default_rng(2)
    taps, z = drawn(20_000, random)
    truth = complexity.complexity(np.stack([scores(moments_of(x, z)).r2 for x in taps]))
    quantile = stats.t.ppf(0.975, FOLDS - 1)
    holds = {"as it is, 2 errors": [], "extrapolated, t": []}
    for _ in range(4):
        taps, z = drawn(800, random)
        moments = [moments_of(x, z) for x in taps]
        whole = [scores(of_tap) for of_tap in moments]
        half = [scores(of_tap, ridge.half) for of_tap in moments]

        def both(field, whole=whole, half=half):
            return [
                complexity.complexity(np.stack([getattr(tap, field) for tap in taps]))
                for taps in (whole, half)
            ]

        limit = complexity.extrapolated(*both("r2"), SHARE)
        error = complexity.jackknife(complexity.extrapolated(*both("without"), SHARE))
        holds["extrapolated, t"].append(abs(limit - truth) <= quantile * error)
        plain = complexity.jackknife(both("without")[0])
        holds["as it is, 2 errors"].append(abs(both("r2")[0] - truth) <= 2 * plain)
    coverage = {name: np.mean(values) for name, values in holds.items()}
    assert coverage["extrapolated, t"] >= 0.9
    assert coverage["as it is, 2 errors"] < 0.85
