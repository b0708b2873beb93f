import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from vinfo_mpi.numerics import folds, ridge

FOLDS = 5


def data(n=400, d=20, k=6, ratio=0.0, seed=0):
    """Correlated activations of several scales, and codes of several signal-to-noise ratios.

    The mean is `ratio` times the standard deviation.
    """
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, d)) @ random.normal(size=(d, d)) * 10.0 ** random.uniform(-2, 2, d)
    clean = (x / x.std(0)) @ random.normal(size=(d, k))
    z = clean / clean.std(0) + random.normal(size=(n, k)) * np.linspace(0, 3, k)
    x += ratio * x.std(0)
    z += ratio * z.std(0)
    fold = folds.assign(np.arange(n), np.zeros(n), FOLDS)
    return x, z, fold


def sklearn_errors(x, z, fold, penalty):
    """Squared held-out errors of scikit-learn's ridge, fold by fold: (K,)."""
    return sum(errors_of_fold(x, z, fold == held_out, penalty) for held_out in range(FOLDS))


def errors_of_fold(x, z, test, penalty):
    """Squared errors of scikit-learn's ridge, trained without some samples, on these: (K,)."""
    train = ~test
    model = make_pipeline(StandardScaler(), Ridge(alpha=penalty * train.sum()))
    model.fit(x[train], z[train])
    return np.square(z[test] - model.predict(x[test])).sum(0)


@pytest.mark.parametrize("penalty", ridge.PENALTIES)
def test_r2_equals_scikit_learn_fold_by_fold(penalty):
    x, z, fold = data()
    expected = 1 - sklearn_errors(x, z, fold, penalty) / np.square(z - z.mean(0)).sum(0)
    scores = ridge.r2(x, z, fold, (penalty,))
    np.testing.assert_allclose(scores.r2, np.maximum(expected, 0), atol=1e-8, rtol=0)


def test_r2_of_data_far_from_zero_in_float32_with_float32_products():
    x, z, fold = data(ratio=100)
    expected = 1 - sklearn_errors(x, z, fold, 1e-3) / np.square(z - z.mean(0)).sum(0)
    for products in (torch.float64, torch.float32):
        scores = ridge.r2(
            x.astype(np.float32), z.astype(np.float32), fold, (1e-3,), products=products
        )
        np.testing.assert_allclose(scores.r2, np.maximum(expected, 0), atol=1e-3, rtol=0)


def test_the_chosen_penalty_is_the_best_of_a_brute_force_search():
    x, z, fold = data(n=120, d=60, k=12)
    errors = np.stack([sklearn_errors(x, z, fold, penalty) for penalty in ridge.PENALTIES])
    scores = ridge.r2(x, z, fold)
    assert (scores.penalty == np.array(ridge.PENALTIES)[errors.argmin(0)]).all()
    assert len(set(scores.penalty)) > 1


def test_in_sample_r2_is_trained_and_tested_on_all():
    x, z, fold = data()
    model = make_pipeline(StandardScaler(), Ridge(alpha=1e-5 * len(x))).fit(x, z)
    expected = r2_score(z, model.predict(x), multioutput="raw_values")
    scores = ridge.r2(x, z, fold, estimator="in-sample")
    np.testing.assert_allclose(scores.r2, expected, atol=1e-8)
    assert np.isnan(scores.without).all()


def test_an_exact_linear_function_is_fully_decodable_and_noise_not_at_all():
    x, _, fold = data()
    noise = np.random.default_rng(1).normal(size=(len(x), 1))
    scores = ridge.r2(x, np.hstack([x[:, :1] / x[:, 0].std(), noise]), fold, (1e-9, 1e-3, 1e3))
    assert scores.r2[0] == pytest.approx(1, abs=1e-6)
    assert 0 <= scores.r2[1] < 0.02


def test_a_concept_without_variance_is_not_alive():
    x, z, fold = data()
    z[:, 0] = 0
    z[:, 1] = 0.1
    scores = ridge.r2(x, z, fold)
    assert scores.alive.tolist() == [False, False, True, True, True, True]
    assert np.isnan(scores.r2[:2]).all() and not np.isnan(scores.r2[2:]).any()


def test_constant_activations_change_nothing():
    x, z, fold = data()
    more = np.hstack([x, np.full((len(x), 1), 3.7), np.zeros((len(x), 1))])
    # The penalty is relative to the mean eigenvalue, which two dead variables lower by d / (d + 2).
    penalty = 1e-3
    scores = ridge.r2(more, z, fold, (penalty * more.shape[1] / x.shape[1],))
    np.testing.assert_allclose(scores.r2, ridge.r2(x, z, fold, (penalty,)).r2, atol=1e-9)


def test_the_values_without_a_fold_leave_its_samples_out_of_the_test():
    x, z, fold = data()
    scores = ridge.r2(x, z, fold, (1e-3,))
    for left_out in range(FOLDS):
        tested = z[fold != left_out]
        errors = sum(
            errors_of_fold(x, z, fold == held_out, 1e-3)
            for held_out in set(range(FOLDS)) - {left_out}
        )
        expected = 1 - errors / np.square(tested - tested.mean(0)).sum(0)
        np.testing.assert_allclose(scores.without[left_out], np.maximum(expected, 0), atol=1e-8)


def test_blocks_of_concepts_do_not_change_the_result(monkeypatch):
    x, z, fold = data()
    whole = ridge.r2(x, z, fold)
    monkeypatch.setitem(ridge.BLOCK, "cpu", 1)
    np.testing.assert_allclose(ridge.r2(x, z, fold).r2, whole.r2, rtol=1e-12)
