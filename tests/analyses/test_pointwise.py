"""Pointwise V-information of the small run, from its files by scikit-learn."""

import matplotlib.figure
import numpy as np
import pytest
from contents import datasets
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from small_run import on, run_stage

from vinfo_mpi import Results
from vinfo_mpi.concepts import vinformation
from vinfo_mpi.figures.catalogue import FIGURES
from vinfo_mpi.numerics import folds

LAST = "taps/layer4.1/activations"
FIGURE = FIGURES["pointwise"]


@pytest.fixture(scope="module")
def codes(run):
    return datasets(run[0] / "codes.h5")["codes"]


@pytest.fixture(scope="module")
def gains(results, stored, codes):
    """The gain of every image and concept: (N, K)."""
    x = stored[2][LAST].astype(float)
    fold = folds.assign(stored[2]["samples/id"], stored[2]["samples/label"], 5)
    told = np.empty_like(codes)
    for held_out in range(5):
        test = fold == held_out
        scaler = StandardScaler().fit(x[~test])
        learned = scaler.transform(x[~test])
        mean = np.linalg.eigvalsh(np.cov(learned.T, bias=True)).mean()
        alpha = (~test).sum() * mean * results["penalty"][-1]
        model = Ridge(alpha=alpha).fit(learned, codes[~test])
        told[test] = model.predict(scaler.transform(x[test]))
    with np.errstate(invalid="ignore"):
        return (np.square(codes - codes.mean(0)) - np.square(codes - told)) / codes.var(0)


def test_the_hardest_images_are_those_of_scikit_learn(results, stored, codes, gains):
    ids = stored[2]["samples/id"]
    alive = results["concepts/alive"] > 0
    order = gains.argsort(0, kind="stable")[:5]
    expected = np.take_along_axis(gains, order, 0).T[alive]
    np.testing.assert_allclose(results["pointwise/gains"][alive], expected, atol=1e-6)
    apart = np.diff(np.sort(gains, 0)[:6], axis=0).min(0)[alive] > 1e-6
    assert apart.mean() > 0.9
    found = results["pointwise/images"][alive][apart]
    np.testing.assert_array_equal(found, ids[order].T[alive][apart])
    shown = np.take_along_axis(codes, order, 0).T[alive][apart]
    np.testing.assert_allclose(results["pointwise/codes"][alive][apart], shown)


def test_the_mean_gain_is_the_v_information(results, gains):
    alive = results["concepts/alive"] > 0
    last = results["vinformation"][-1][alive]
    np.testing.assert_allclose(gains.mean(0)[alive].clip(min=0), last, atol=1e-8)
    misled = (gains < 0).mean(0)[alive]
    np.testing.assert_allclose(results["concepts/misled"][alive], misled, atol=1 / len(gains))


def test_blocks_of_concepts_change_nothing(copy, results, monkeypatch):
    folder = copy("activations", "codes.h5", "checkpoints", "results.h5")
    monkeypatch.setattr(vinformation, "room", lambda run: 20_000)
    run_stage(on(folder), "pointwise")
    after = datasets(folder / "results.h5")
    for name in ("pointwise/gains", "concepts/misled"):
        np.testing.assert_allclose(after[name], results[name], atol=1e-8)


def test_the_figure_says_how_many_are_misled(run):
    results = Results(run[0])
    ax = matplotlib.figure.Figure().subplots()
    assert FIGURE.draw(results, ax).collections
    assert f"Of {results.living['misled'].mean():.2f} of the images" in FIGURE.sentence(results)
