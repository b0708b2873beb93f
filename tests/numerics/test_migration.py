"""Paths over the depth: planted ones are found, and all numbers equal a loop over concepts."""

import numpy as np
import pytest

from vinfo_mpi.numerics.migration import KINDS, paths

TAPS = 6


def grid_of(*places):
    """Return similarities that are 1 at one tap of each checkpoint; at none where it is None."""
    grid = np.zeros((len(places), TAPS, 1))
    for checkpoint, place in enumerate(places):
        if place is not None:
            grid[checkpoint, place] = 1.0
    return grid


def kind(found):
    return KINDS[found.path_kind[0]]


def test_a_path_that_moves_one_tap_per_epoch():
    epochs = np.arange(6)
    towards_input = paths(grid_of(5, 4, 3, 2, 1, 0), epochs, 2)
    np.testing.assert_allclose(towards_input.centre[:, 0], [5, 4, 3, 2, 1, 0])
    np.testing.assert_allclose(towards_input.width, 0)
    np.testing.assert_allclose(towards_input.localised, 1)
    # The last third: epochs 4 and 5, of which the last counts half; the first: 0 and 1.
    assert towards_input.drift[0] == pytest.approx((1 + 0 / 2) / 1.5 - (5 / 2 + 4) / 1.5)
    assert kind(towards_input) == "earlier"
    deeper = paths(grid_of(0, 1, 2, 3, 4, 5), epochs, 2)
    assert deeper.drift[0] == pytest.approx(-towards_input.drift[0])
    assert kind(deeper) == "deeper"


def test_a_path_that_stays_and_one_that_is_everywhere():
    stays = paths(grid_of(None, 2, 2, 2, 2), np.arange(5), 2)
    assert (stays.emergence[0], stays.lifetime[0], stays.anchor[0]) == (1, 3, 2)
    assert (stays.drift[0], stays.at_anchor[0], kind(stays)) == (0, 1, "stable")
    everywhere = paths(np.full((4, TAPS, 1), 0.3), np.arange(4), 2)
    np.testing.assert_allclose(everywhere.localised, 0, atol=1e-12)
    assert kind(everywhere) == "spread"
    np.testing.assert_allclose(everywhere.activity, 0.3)


def test_checkpoints_count_for_the_epochs_around_them():
    """Tap 1 for 2 checkpoints far apart, tap 4 for 3 close to each other."""
    found = paths(grid_of(1, 1, 4, 4, 4), np.array([0, 20, 21, 22, 23]), 2)
    assert found.anchor[0] == 1
    assert found.at_anchor[0] == pytest.approx((10 + 10.5) / 23)
    assert found.drift[0] == pytest.approx((10.5 + 4 * 2.5) / 13 - 1)  # epochs 20 to 23


def test_a_life_begins_and_ends_with_checkpoints_in_a_row():
    epochs = np.array([0, 1, 2, 3, 5, 8, 9, 10])
    found = paths(grid_of(0, None, 3, 3, None, 3, None, None), epochs, 2)
    assert (found.emergence[0], found.lifetime[0]) == (2, 6)  # it is gone from epoch 9 on
    assert found.anchor[0] == 3, "what came before the life does not count"
    flicker = paths(grid_of(None, 3, None, 3, 3, 3, 3, None), epochs, 2)
    assert (flicker.emergence[0], flicker.lifetime[0]) == (3, 7), "one checkpoint is no end"
    late = paths(grid_of(*[None] * 7, 3), epochs, 2)
    # The reference itself, the last tap of the last checkpoint, does not raise the threshold.
    assert (late.emergence[0], late.lifetime[0]) == (10, 0)
    once = paths(grid_of(None, 3, *[None] * 6), epochs, 2)
    assert np.isnan(once.emergence[0])


def test_a_concept_that_is_never_available_has_no_path():
    grid = np.zeros((3, TAPS, 2))
    grid[:, :, 1] = np.nan  # no variance
    found = paths(grid, np.arange(3), 2)
    for name in ("emergence", "lifetime", "localisation", "at_anchor", "drift"):
        assert np.isnan(getattr(found, name)).all(), name
    assert (found.anchor == -1).all() and (found.path_kind == -1).all()
    assert np.isnan(found.activity[:, 1]).all() and (found.activity[:, 0] == 0).all()


def test_random_grids_equal_a_loop_over_concepts_and_checkpoints():
    random = np.random.default_rng(3)
    grid = random.random((7, TAPS, 5)) ** 3
    epochs = np.array([0, 1, 2, 4, 7, 8, 12])
    found = paths(grid, epochs, 1)
    for concept in range(5):
        s = grid[:, :, concept]
        threshold = np.sort(s.ravel()[:-1])[-1] / 2
        centres, localised, occupancy = [], [], np.zeros(TAPS)
        for checkpoint, row in enumerate(s):
            weights = np.exp(row) * (row > threshold)
            activity = row[row > threshold].sum() / TAPS
            assert found.activity[checkpoint, concept] == pytest.approx(activity)
            if not weights.any():
                centres.append(np.nan)
                localised.append(np.nan)
                continue
            p = weights / weights.sum()
            centres.append(p @ np.arange(TAPS))
            localised.append(1 + (p[p > 0] * np.log(p[p > 0])).sum() / np.log(TAPS))
            width = np.sqrt(p @ (np.arange(TAPS) - centres[-1]) ** 2)
            assert found.width[checkpoint, concept] == pytest.approx(width)
            near = [abs(epochs[checkpoint] - epochs[k]) / 2
                    for k in (checkpoint - 1, checkpoint + 1) if 0 <= k < 7]  # fmt: skip
            occupancy += sum(near) * activity * localised[-1] * p
        np.testing.assert_allclose(found.centre[:, concept], centres)
        np.testing.assert_allclose(found.localised[:, concept], localised, atol=1e-12)
        active = np.isfinite(centres)
        begin = active.argmax()
        if active[-1]:  # its life is all that follows
            assert found.emergence[concept] == epochs[begin]
            assert found.localisation[concept] == pytest.approx(np.nanmean(localised[begin:]))
            occupancy /= occupancy.sum()
            anchor = occupancy.argmax()
            assert found.anchor[concept] == anchor
            beside = occupancy[max(0, anchor - 1) : anchor + 2].sum()
            assert found.at_anchor[concept] == pytest.approx(beside)
