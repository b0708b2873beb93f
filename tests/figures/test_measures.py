"""The figure of all measures beside each other."""

import numpy as np
import pytest
from drawings import numbers
from matplotlib.figure import Figure

from vinfo_mpi.figures import style
from vinfo_mpi.figures.catalogue import FIGURES
from vinfo_mpi.results.measures import OF_VINFORMATION, between_concepts


def test_what_is_drawn_is_the_lower_triangle(results, ax):
    results.plot.measures(ax)
    names, matrix = between_concepts(results)
    drawn = np.ma.filled(ax.images[0].get_array().astype(float), np.nan)
    below = np.tril(np.ones_like(drawn, bool), -1)
    assert np.array_equal(drawn[below], matrix.values[below], equal_nan=True)
    assert np.isnan(drawn[~below]).all()
    assert [label.get_text().split("  ")[0] for label in ax.get_yticklabels()] == names[1:]


def test_numbers_stand_in_the_cells_where_these_are_wide_enough(results):
    whole = FIGURES["measures"].whole(results)
    written = [
        float(text.get_text().replace("\N{MINUS SIGN}", "-")) for text in whole.axes[0].texts
    ]
    _, matrix = between_concepts(results)
    values = matrix.values[np.tril_indices(len(matrix.values), -1)]
    assert written == pytest.approx(values[np.isfinite(values)].tolist(), abs=0.00501)
    narrow = Figure((style.NARROW - 1, 3)).subplots()
    assert not results.plot.measures(narrow).texts


def test_the_ends_are_said_of_pairs_that_could_differ(results):
    names, matrix = between_concepts(results)
    apart = [
        matrix.values[row, column]
        for row in range(len(names))
        for column in range(row)
        if not {names[row], names[column]} <= OF_VINFORMATION
    ]
    apart = [value for value in apart if np.isfinite(value)]
    said = numbers(FIGURES["measures"].sentence(results))
    assert said[0] == len(apart)
    assert said[2] == matrix.n
    assert (said[3], said[5]) == pytest.approx((min(apart), max(apart)), abs=0.00501)
