"""Redundancy tells one channel from many copies, and hardly depends on which masks are drawn."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from vinfo_mpi.numerics import ridge
from vinfo_mpi.numerics.moments import Moments
from vinfo_mpi.numerics.redundancy import channel_masks, shares

N, D, FOLDS = 2000, 64, 5
RATES = (0.1, 0.5, 0.9)


def moments_of(x, z):
    moments = Moments(FOLDS, x.shape[1], z.shape[1])
    fold = torch.arange(len(x)) % FOLDS
    moments.add(torch.from_numpy(x), torch.from_numpy(z), fold)
    return moments


def vinformation(moments):
    held_out = range(FOLDS)
    squared = [
        ridge.errors(ridge.factorise(moments, fold), moments, fold, ridge.PENALTIES)
        for fold in held_out
    ]
    return ridge.finish(torch.stack(squared), moments, ridge.PENALTIES).r2


def redundancy(moments, masks=30, seed=0):
    whole = vinformation(moments)
    left = [
        shares(vinformation(moments.of_channels(mask)), whole)
        for rate in RATES
        for mask in channel_masks(moments.x.shape[1], rate, masks, seed)
    ]
    return np.mean(left, axis=0)


@pytest.fixture(scope="module")
def planted():
    """Moments of concepts on 1 channel, on 8 and on 32 near-copies, and of 40 random ones."""
    random = np.random.default_rng(0)
    x = random.standard_normal((N, D))
    copied = random.standard_normal(N)
    x[:, :32] = copied[:, None] + 0.1 * x[:, :32]
    weights = random.standard_normal((D, 40)) * (random.random((D, 40)) < np.linspace(0.02, 1, 40))
    z = np.column_stack([x[:, 40], x[:, 40:48].sum(1), copied, x @ weights])
    z += 0.1 * z.std(0) * random.standard_normal(z.shape)
    return moments_of(x, z)


def test_one_channel_several_and_copies_come_in_this_order(planted):
    one_channel, eight_channels, copies = redundancy(planted)[:3]
    assert one_channel < eight_channels - 0.005
    assert eight_channels < copies - 0.2
    assert copies > 0.9


def test_two_sets_of_masks_agree(planted):
    values = [redundancy(planted, seed=seed)[2:] for seed in (0, 1)]
    assert spearmanr(*values).statistic >= 0.9


def test_moments_of_channels_are_those_of_the_channels_alone(planted):
    random = np.random.default_rng(1)
    x = random.standard_normal((60, 7))
    z = random.standard_normal((60, 3))
    channels = torch.tensor([True, False, True, True, False, False, True])
    some = moments_of(x, z).of_channels(channels)
    alone = moments_of(x[:, channels.numpy()], z)
    for name in ("n", "x", "xx", "z", "zz", "zx"):
        torch.testing.assert_close(getattr(some, name), getattr(alone, name))


def test_what_cannot_be_read_has_no_share():
    left = shares(np.array([[0.2, 0.004, np.nan]]), np.array([0.4, 0.005, np.nan]))
    np.testing.assert_array_equal(left, [[0.5, np.nan, np.nan]])


@pytest.mark.parametrize(
    ("rate", "channels"), [(0.01, 1), (0.1, 2), (0.5, 10), (0.9, 18), (1.0, 20)]
)
def test_masks_keep_the_same_number_of_channels_each_equally_often(rate, channels):
    masks = channel_masks(20, rate, 2000, seed=3)
    assert masks.shape == (2000, 20)
    assert (masks.sum(1) == channels).all()
    np.testing.assert_allclose(masks.double().mean(0), channels / 20, atol=0.06)
    assert (masks == channel_masks(20, rate, 2000, seed=3)).all()
    assert channels == 20 or (masks != channel_masks(20, rate, 2000, seed=4)).any()
