"""Parts of the complexity: they add up, and a curve of a known kind falls into its part."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vinfo_mpi.numerics.complexity import complexity, jackknife, parts, standard_errors

CURVES = arrays(
    np.float64, st.tuples(st.integers(1, 9), st.integers(1, 5)), elements=st.floats(0, 1)
)


@given(CURVES)
def test_parts_are_shares_that_add_up_to_the_complexity(curves):
    shares = parts(curves)
    total = shares.unreadable + shares.late + shares.discarded
    np.testing.assert_allclose(total, complexity(curves), atol=1e-12)
    for share in (shares.unreadable, shares.late, shares.discarded):
        assert (share >= -1e-15).all()
        assert (share <= 1 + 1e-15).all()


@pytest.mark.parametrize(
    ("curve", "unreadable", "late", "discarded", "depth", "kept"),
    [
        ([0, 0, 0, 0], 1, 0, 0, np.nan, np.nan),  # noise
        ([1, 1, 1, 1], 0, 0, 0, 0, 1),  # there from the first tap on
        ([0, 0, 0, 1], 0, 0.75, 0, 0.75, 1),  # at the last tap alone
        ([1, 0, 0, 0], 0, 0, 0.75, 0, 0),  # at the first tap alone
        ([0, 0.5, 0.5, 0.5], 0.5, 0.125, 0, 0.25, 1),  # half of it, from the second on
        ([0, 0.8, 0.4, 0.4], 0.2, 0.2, 0.2, 0.25, 0.5),
    ],
)
def test_curves_of_known_kinds(curve, unreadable, late, discarded, depth, kept):
    parts_of = parts(np.array(curve, float)[:, None])
    values = (parts_of.unreadable, parts_of.late, parts_of.discarded, parts_of.depth, parts_of.kept)
    np.testing.assert_allclose(np.ravel(values), (unreadable, late, discarded, depth, kept))
    assert parts_of.peak[0] == 1 - parts_of.unreadable[0]


def test_a_concept_without_variance_has_no_parts():
    parts_of = parts(np.array([[np.nan, 0.2], [np.nan, 0.4]]))
    assert np.isnan(parts_of.late[0]) and np.isnan(parts_of.depth[0])
    assert np.isfinite(parts_of.depth[1])


def test_errors_are_those_of_the_jackknife_of_every_part():
    random = np.random.default_rng(0)
    without = random.random((4, 5, 3))  # taps, folds, concepts
    errors = standard_errors(without)
    for concept in range(3):
        late = [parts(without[:, fold, [concept]]).late[0] for fold in range(5)]
        expected = np.sqrt(4 / 5 * np.square(late - np.mean(late)).sum())
        np.testing.assert_allclose(errors.late[concept], expected)
    np.testing.assert_allclose(errors.peak, jackknife(parts(without).peak))


def test_complexity_and_jackknife_follow_their_definitions():
    values = np.array([[0.2, 1.0], [0.6, 1.0]])
    np.testing.assert_allclose(complexity(values), [0.6, 0.0])
    random = np.random.default_rng(0).normal(size=(20, 1))
    means = np.array([np.delete(random, i, axis=0).mean(0) for i in range(20)])
    # For a mean the jackknife is the usual standard error.
    np.testing.assert_allclose(jackknife(means), random.std(0, ddof=1) / np.sqrt(20))
