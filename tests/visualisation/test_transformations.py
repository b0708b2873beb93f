import numpy as np
import pytest
import torch

from vinfo_mpi.visualisation import transformations
from vinfo_mpi.visualisation.transformations import SMALLEST, draws, transformed

KEYS = np.array([[7, 1], [8, 1], [7, 2]])


def ramps(size):
    """Pictures whose colours are x, y and 0."""
    centres = (torch.arange(size) + 0.5) / size
    x = centres.expand(size, size)
    y = centres[:, None].expand(size, size)
    return torch.stack([x, y, torch.zeros(size, size)]).expand(3, -1, -1, -1)


def test_a_crop_follows_from_its_key_alone():
    together = transformed(ramps(16), draws(KEYS, 0, (3, 16, 16)), 16)
    for crop, key in zip(together, KEYS, strict=True):
        np.testing.assert_array_equal(
            transformed(ramps(16)[:1], draws(key[None], 0, (3, 16, 16)), 16)[0], crop
        )
    assert (together[0] - together[1]).abs().max() > 0.01
    assert (together[0] - together[2]).abs().max() > 0.01
    assert (transformed(ramps(16), draws(KEYS, 1, (3, 16, 16)), 16) - together).abs().max() > 0.01


@pytest.mark.parametrize("size", [64, 32])
def test_crops_are_squares_within_the_picture(monkeypatch, size):
    monkeypatch.setattr(transformations, "NOISE", 0)
    keys = np.column_stack([np.arange(200), np.ones(200, int)])
    crops = transformed(ramps(64)[:1].expand(200, -1, -1, -1), draws(keys, 0, (3, 64, 64)), size)
    assert crops.shape == (200, 3, size, size)
    corners = crops[:, :2, [0, -1], [0, -1]].numpy()  # of x and y
    sides = (corners[..., 1] - corners[..., 0]) / (1 - 1 / size)
    np.testing.assert_allclose(sides[:, 0], sides[:, 1], atol=1e-3)
    assert sides.min() >= SMALLEST - 0.02
    assert sides.max() <= 1.001
    assert sides.max() - sides.min() > 0.8 * (1 - SMALLEST)
    assert corners.min() >= 0
    assert corners.max() <= 1


def test_noise_is_added():
    crops = transformed(torch.full((3, 3, 64, 64), 0.5), draws(KEYS, 0, (3, 64, 64)), 64)
    # The crop averages some of it.
    assert 0.3 * transformations.NOISE < crops.std() < transformations.NOISE
