import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from vinfo_mpi import NMF
from vinfo_mpi.numerics.recovery import Dictionary, plant, recovery


@pytest.fixture(scope="module")
def planted():
    return plant(400, 30, 8, 2.0, seed=1)


def test_a_dictionary_recovers_itself(planted):
    x, truth = planted
    np.testing.assert_allclose(truth.codes @ truth.atoms, x)
    itself = recovery(truth, truth)
    for values in (itself.cosine, itself.precision, itself.recall, itself.f1, itself.scale):
        np.testing.assert_allclose(values, 1)
    assert itself.unique == 1


def test_order_and_length_do_not_matter(planted):
    random = np.random.default_rng(0)
    truth = planted[1]
    noisy = Dictionary(
        truth.atoms + 0.1 * random.normal(size=truth.atoms.shape),
        truth.codes * (random.random(truth.codes.shape) < 0.7),
    )
    order = random.permutation(8)
    scale = random.uniform(0.1, 10, 8)
    changed = Dictionary(noisy.atoms[order] * scale[:, None], noisy.codes[:, order] / scale)
    first = recovery(noisy, truth)
    second = recovery(changed, truth)
    for name in ("cosine", "unique", "precision", "recall", "scale"):
        np.testing.assert_allclose(getattr(second, name), getattr(first, name))


def test_firing_is_scored_as_by_scikit_learn(planted):
    random = np.random.default_rng(0)
    truth = planted[1]
    codes = 0.8 * truth.codes * (random.random(truth.codes.shape) < 0.6)
    codes += 0.05 * (random.random(codes.shape) < 0.2)
    result = recovery(Dictionary(truth.atoms, codes), truth)
    expected = truth.codes > 0
    fires = codes > 0
    options = {"average": None}
    np.testing.assert_allclose(result.precision, precision_score(expected, fires, **options))
    np.testing.assert_allclose(result.recall, recall_score(expected, fires, **options))
    np.testing.assert_allclose(result.f1, f1_score(expected, fires, **options))
    assert (recovery(Dictionary(truth.atoms, codes), truth, 0.1).precision > 0.99).all()


def test_what_is_missing_shrunk_or_doubled_is_told(planted):
    truth = planted[1]
    shrunk = recovery(Dictionary(truth.atoms, truth.codes / 2), truth)
    np.testing.assert_allclose(shrunk.scale, 0.5)
    doubled = Dictionary(truth.atoms[[0, 0, 1, 2]], truth.codes[:, [0, 0, 1, 2]])
    result = recovery(doubled, truth)
    assert result.unique == 0.75
    assert (result.cosine > 1 - 1e-12).sum() == 3
    assert np.isnan(result.scale[result.cosine == 0]).all()
    dead = Dictionary(np.zeros_like(truth.atoms), np.zeros_like(truth.codes))
    assert recovery(dead, truth).unique == 0
    assert (recovery(dead, truth).f1 == 0).all()


def test_planted_codes_are_as_sparse_correlated_and_hierarchical_as_asked():
    _, plain = plant(20000, 30, 8, 2.0, seed=1)
    _, correlated = plant(20000, 30, 8, 2.0, correlation=0.8, seed=1)
    _, nested = plant(20000, 30, 8, 2.0, hierarchical=True, seed=1)
    for dictionary in (plain, correlated, nested):
        assert (dictionary.codes > 0).sum(1).mean() == pytest.approx(2, abs=0.05)
        np.testing.assert_allclose(np.linalg.norm(dictionary.atoms, axis=1), 1)
    phi = np.corrcoef((correlated.codes > 0).T)
    assert np.abs(np.corrcoef((plain.codes > 0).T) - np.eye(8)).max() < 0.03
    assert phi[0, 1:4].min() > 0.4
    assert np.abs(phi[:4, 4:]).max() < 0.03
    fires = nested.codes > 0
    assert fires[~fires[:, 0], 1:4].sum() == 0
    np.testing.assert_allclose(fires[fires[:, 0], 1:4].mean(0), 0.5, atol=0.02)


def test_noise_has_the_size_that_is_asked_for():
    clean, _ = plant(2000, 30, 8, 6.0, channels=1.0, seed=1)
    noisy, _ = plant(2000, 30, 8, 6.0, channels=1.0, noise=0.1, seed=1)
    assert np.linalg.norm(noisy - clean) / np.linalg.norm(clean) == pytest.approx(0.1, rel=0.05)


def test_our_factorisation_recovers_sparse_atoms(planted):
    x, truth = planted
    fit = NMF(8, tolerance=1e-6, max_iterations=400).fit(x)
    result = recovery(Dictionary(fit.atoms_, fit.encode(x)), truth, share=0.05)
    assert result.cosine.min() > 0.95
    assert result.f1.mean() > 0.9
