"""Figures of clusters and of the tree of concepts against the file."""

import numpy as np
import pytest
from drawings import numbers
from scipy.cluster.hierarchy import leaves_list
from scipy.stats import spearmanr

from vinfo_mpi.figures.catalogue import FIGURES


def test_metafeatures(results, stored, living, ax):
    results.plot.metafeatures(ax)
    shown = np.flatnonzero(stored["metafeatures/shown"])
    mean = stored["metafeatures/complexity"]
    cluster = stored["concepts/cluster"][living]
    importance = stored["concepts/importance"][living]
    of_clusters = np.array([importance[cluster == number].mean() for number in range(len(mean))])
    marks = ax.collections[-1]
    np.testing.assert_allclose(marks.get_offsets()[:, 1], mean[shown])
    np.testing.assert_allclose(marks.get_array(), of_clusters[shown])
    said = FIGURES["metafeatures"].sentence(results)
    sizes = stored["metafeatures/size"]
    assert numbers(said)[:4] == [len(shown), len(mean), sizes.min(), sizes.max()]
    ends = said.split("from ")[1].split(". Mean")[0].split(" to ")
    assert [numbers(end)[0] for end in ends] == pytest.approx(mean[shown[[0, -1]]], abs=0.005)
    expected = spearmanr(mean, of_clusters).statistic
    assert numbers(said.split("Spearman ")[1])[0] == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("colour", ["complexity", "importance"])
def test_tree(results, stored, ax, colour):
    results.plot.tree(ax, colour=colour)
    merges = stored["metafeatures/concept_linkage"]
    order = stored["metafeatures/tree_concepts"][leaves_list(merges)]
    values = stored[f"concepts/{colour}"][order]
    np.testing.assert_allclose(ax.collections[-1].get_array(), values)
    assert len(ax.collections[0].get_segments()) == len(merges)
    said = FIGURES["tree"].sentence(results)
    expected = spearmanr(values[:-1], values[1:]).statistic
    of_colour = said.split(f"{colour}, Spearman ")[1]
    assert numbers(of_colour)[0] == pytest.approx(expected, abs=0.005)
