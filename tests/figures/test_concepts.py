"""Figures of all concepts against the file: what is drawn, and every number that is said.

By numpy and scipy alone.
"""

import numpy as np
import pytest
from drawings import numbers, over_classes, says_correlation

from vinfo_mpi.figures.catalogue import FIGURES

COMPLEXITY = "concepts/complexity"


def test_complexity(results, stored, living, ax):
    results.plot.complexity(ax)
    values = stored[COMPLEXITY][living]
    heights = [bar.get_height() for bar in ax.patches]
    assert heights == np.histogram(values, np.arange(41) / 40)[0].tolist()
    said = numbers(FIGURES["complexity"].sentence(results))
    n, k, median, share, low, high, mean, error, classes = said[:9]
    others = [f"{COMPLEXITY}_se", "concepts/dictionary_se"]
    others += [f"{COMPLEXITY}_{name}" for name in ("half", "limit")]
    assert said[9:] == pytest.approx([stored[name][living].mean() for name in others], abs=0.0006)
    assert (n, k, share, classes) == (living.sum(), len(living), 80, 10)
    assert [median, low, high] == pytest.approx(np.quantile(values, [0.5, 0.1, 0.9]), abs=0.005)
    assert mean == pytest.approx(values.mean(), abs=0.006)
    assert error == pytest.approx(error_of_mean(values, stored, living), abs=0.006)


def test_vinformation(results, stored, living, ax):
    results.plot.vinformation(ax)
    order = np.flatnonzero(living)[np.argsort(stored[COMPLEXITY][living], kind="stable")]
    np.testing.assert_array_equal(ax.images[0].get_array(), stored["vinformation"][:, order])
    taps = [tap.decode() for tap in stored["taps"]]
    assert [label.get_text() for label in ax.get_yticklabels()] == taps
    ticks = [label.get_text().split() for label in ax.get_xticklabels()]
    ranks = np.array([int(rank) for rank, _ in ticks])
    assert ranks.tolist() == list(ax.get_xticks()) and {1, len(order)} <= set(ranks)
    expected = stored[COMPLEXITY][order[ranks - 1]]
    np.testing.assert_allclose([float(text) for _, text in ticks], expected, atol=0.005)
    assert ax.images[0].get_extent()[:2] == [0.5, len(order) + 0.5]
    ends = stored["vinformation"][[0, -1]][:, living]
    n, first, first_error, last, last_error, _ = numbers(FIGURES["vinformation"].sentence(results))
    assert n == living.sum()
    assert [first, last] == pytest.approx(ends.mean(1), abs=0.005)
    assert [first_error, last_error] == pytest.approx(
        [error_of_mean(values, stored, living) for values in ends], abs=0.005
    )


@pytest.mark.parametrize(
    ("name", "column", "label"),
    [
        ("complexity_importance", "importance", "importance Γ"),
        ("complexity_temporal", "temporal", "temporal score Λ"),
    ],
)
def test_scatter_plots_and_their_correlation(results, stored, living, ax, name, column, label):
    getattr(results.plot, name)(ax)
    x = stored[COMPLEXITY][living]
    y = stored[f"concepts/{column}"][living]
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), np.column_stack([x, y]))
    assert ax.get_ylabel().startswith(label)
    said = FIGURES[name].sentence(results)
    says_correlation(said, x, y, stored["concepts/class"][living])
    assert ax.get_title().replace("\N{MINUS SIGN}", "-") in said
    if column == "temporal":
        of_late = said.split("With the late part of the score")[1]
        late = stored["concepts/temporal_late"][living]
        says_correlation(of_late, x, late, stored["concepts/class"][living])


def test_importance_at_the_first_epoch(results, stored, ax):
    results.plot.complexity_importance_first(ax)
    row = stored["sedimentation/epochs"].tolist().index(1)
    complexity = stored["sedimentation/complexity"][row]
    alive = ~np.isnan(complexity)
    x = complexity[alive]
    y = stored["sedimentation/importance"][row][alive]
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), np.column_stack([x, y]))
    said = FIGURES["complexity_importance_first"].sentence(results)
    assert "epoch 1" in said
    assert "epoch 1" in ax.get_xlabel()
    says_correlation(said, x, y, stored["concepts/class"][alive])


@pytest.mark.parametrize(
    ("name", "drawn", "column"),
    [
        ("redundancy", "redundancy/values", "redundancy"),
        ("robustness", "robustness/variance", "noise_variance"),
    ],
)
def test_scatter_plots_of_several_levels(results, stored, living, ax, name, drawn, column):
    getattr(results.plot, name)(ax)
    complexity = stored[COMPLEXITY][living]
    for collection, values in zip(ax.collections, stored[drawn], strict=True):
        expected = np.column_stack([complexity, values[living]])
        np.testing.assert_array_equal(collection.get_offsets(), expected)
    y = stored[f"concepts/{column}"][living]
    says_correlation(
        FIGURES[name].sentence(results), complexity, y, stored["concepts/class"][living]
    )


def error_of_mean(values, stored, living):
    """Return the standard error of the mean of living concepts over their classes."""
    return over_classes(lambda draw: values[draw].mean(), stored["concepts/class"][living])
