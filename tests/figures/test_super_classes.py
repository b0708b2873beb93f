"""The figure of super-classes against the file."""

import numpy as np
import pytest
from drawings import numbers, says_correlation
from scipy.stats import spearmanr

from vinfo_mpi.figures.catalogue import FIGURES


def test_the_map_has_the_mean_importances_of_the_meta_features(results, stored, living, ax):
    results.plot.super_classes(ax)
    importance = stored["metafeatures/super_importance"][:, living]
    cluster = stored["concepts/cluster"][living]
    expected = [
        [importance[number, cluster == column].mean() for column in range(9)]
        for number in stored["metafeatures/super_leaves"]
    ]
    np.testing.assert_allclose(ax.images[0].get_array(), expected)
    names = stored["metafeatures/super_names"][stored["metafeatures/super_leaves"]]
    assert [label.get_text() for label in ax.get_yticklabels()] == [n.decode() for n in names]


def test_the_sentence_says_the_largest_and_both_correlations(results, stored, living):
    said = FIGURES["super_classes"].sentence(results)
    importance = stored["metafeatures/super_importance"]
    top, concept = np.unravel_index(importance.argmax(), importance.shape)
    names = [name.decode() for name in stored["metafeatures/super_names"]]
    largest = said.split("concept ")[1]
    assert largest.startswith(f"{concept} for {names[top]}: ")
    error = stored["metafeatures/super_importance_se"][top, concept]
    assert numbers(largest)[1] == pytest.approx(importance[top, concept], abs=0.005)
    assert numbers(largest)[2] == pytest.approx(error, abs=0.005)
    complexity = stored["concepts/complexity"][living]
    ordered = np.argsort([spearmanr(complexity, row[living]).statistic for row in importance])
    ends = said.split("super-classes: ")[1].split("; ")
    assert len(ends) == 2
    for end, number in zip(ends, ordered, strict=True):
        assert f"({names[number]})" in end
        classes = stored["concepts/class"][living]
        says_correlation(end, complexity, importance[number, living], classes)
