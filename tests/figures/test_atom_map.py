"""The map against the file: where concepts are drawn, their colours, and what is said."""

import matplotlib.figure
import numpy as np
import pytest
from drawings import numbers
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr

from vinfo_mpi.figures.catalogue import FIGURES


@pytest.fixture(scope="module")
def places(stored):
    """Where the atoms lie: (K, 2), NaN where they have no place."""
    return np.column_stack([stored["concepts/map_x"], stored["concepts/map_y"]])


@pytest.fixture(scope="module")
def placed(places):
    return ~np.isnan(places[:, 0])


@pytest.mark.parametrize("colour", ["complexity", "importance"])
def test_quantities_are_colours(results, stored, ax, places, placed, colour):
    marks = results.plot.map(ax, colour=colour).collections[0]
    np.testing.assert_array_equal(marks.get_offsets(), places[placed])
    np.testing.assert_array_equal(marks.get_array(), stored[f"concepts/{colour}"][placed])


def test_every_class_has_its_colour(results, stored, places, placed):
    ax = results.plot.map(matplotlib.figure.Figure().subplots(), colour="class")
    for group, marks in enumerate(ax.collections):
        of_class = placed & (stored["concepts/class"] == group)
        np.testing.assert_array_equal(marks.get_offsets(), places[of_class])


def test_many_classes_are_coloured_by_their_place_in_the_tree(
    results, stored, ax, placed, monkeypatch
):
    monkeypatch.setattr("vinfo_mpi.figures.style.CLASSES", ("#000000",) * 9)
    marks = results.plot.map(ax, colour="class").collections[0]
    leaves = stored["metafeatures/leaves"].tolist()
    expected = [leaves.index(group) for group in stored["concepts/class"][placed]]
    assert marks.get_array().tolist() == expected


def test_neighbours(results, stored, living, places, placed):
    both = placed & living
    distance = cdist(places[both], places[both])
    np.fill_diagonal(distance, np.inf)
    nearest = distance.argmin(1)
    complexity = stored["concepts/complexity"][both]
    group = stored["concepts/class"][both]
    value, _, n, _, same, same_error, by_chance = numbers(FIGURES["map"].sentence(results))
    assert value == pytest.approx(spearmanr(complexity, complexity[nearest]).statistic, abs=0.005)
    assert n == both.sum()
    expected = (group == group[nearest]).mean()
    assert same == pytest.approx(expected, abs=0.005)
    assert same_error == pytest.approx(np.sqrt(expected * (1 - expected) / n), abs=0.005)
    assert by_chance == pytest.approx((np.bincount(group) ** 2).sum() / n**2, abs=0.005)
