"""Parts of the complexity: they add up, and a curve of a known kind falls into its part."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vinfo_mpi.numerics.complexity import (
    complexity,
    epoch_weights,
    jackknife,
    parts,
    standard_errors,
)

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


def test_what_was_kept_of_a_smooth_training_changes_its_mean_by_the_error_of_the_rule_alone():
    every = np.arange(121)
    curves = 1 - np.exp(-every[:, None] / [10, 20, 40])
    whole = 1 - curves[1:].mean(0)
    scores = {}
    for name, kept in {
        "all": every,
        "all but the untrained": every[1:],
        "every fourth": every[::4],
        "unequal": np.array([0, 1, 2, 4, 8, 15, 30, 60, 120]),
    }.items():
        scores[name] = complexity(curves[kept], epoch_weights(kept))
    np.testing.assert_allclose(scores["all"], whole, rtol=1e-12)
    np.testing.assert_allclose(scores["all but the untrained"], whole, rtol=1e-12)
    np.testing.assert_allclose(scores["every fourth"], whole, atol=0.002)
    np.testing.assert_allclose(scores["unequal"], whole, atol=0.04)
    # The mean over those kept would be far off.
    assert (1 - curves[[1, 2, 4, 8, 15, 30, 60, 120]].mean(0) - whole > 0.15).all()


@given(st.sets(st.integers(0, 30), min_size=2, max_size=9), st.floats(-1, 1), st.floats(0, 1))
def test_a_mean_over_epochs_is_that_of_the_lines_between_those_kept(kept, slope, height):
    epochs = np.array(sorted(kept))
    weights = epoch_weights(epochs)
    assert weights.sum() == pytest.approx(1)
    every = np.arange(1, epochs[-1] + 1)
    line = height + slope * np.maximum(every, epochs[0])
    assert weights @ (height + slope * epochs) == pytest.approx(line.mean())


@given(CURVES)
def test_parts_with_weights_are_those_of_repeated_taps(curves):
    times = np.arange(len(curves)) % 3 + 1
    repeated = parts(np.repeat(curves, times, axis=0))
    weighted = parts(curves, times)
    np.testing.assert_allclose(weighted.late, repeated.late, atol=1e-12)
    np.testing.assert_allclose(weighted.discarded, repeated.discarded, atol=1e-12)
    total = weighted.unreadable + weighted.late + weighted.discarded
    np.testing.assert_allclose(total, complexity(curves, times), atol=1e-12)
