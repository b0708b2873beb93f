"""Hidden units, by loops in numpy; a rectifier with nothing learned; planted dead units."""

import numpy as np
import pytest
import torch

from vinfo_mpi.numerics.lazy_neurons import (
    POSITIONS,
    QUANTILES,
    LayerSums,
    calibration_error,
    effective,
    keep_largest,
)


def summed(values, batch=7):
    sums = LayerSums(torch.zeros(LayerSums.size(values.shape[2]), dtype=torch.float64))
    for block in torch.from_numpy(values).split(batch):
        sums.add(block)
    return sums.summary()


def test_all_numbers_equal_a_loop_over_images_positions_and_units():
    random = np.random.default_rng(0)
    values = np.maximum(random.normal(size=(20, 5, 9)) - 0.5, 0).astype(np.float32)
    values[:, :, 4] = np.minimum(values[:, :, 4] - 1, -0.1)  # never zero, never above
    values[3] = 0
    layer = summed(values)
    holds = np.zeros((20, 5))
    for image, position in np.ndindex(20, 5):
        energy = np.sort(values[image, position].astype(float) ** 2)[::-1].cumsum()
        if energy[-1] > 0:
            holds[image, position] = (np.flatnonzero(energy >= 0.99 * energy[-1])[0] + 1) / 9
    expected = {
        "units_nonzero": (values != 0).mean((1, 2)),
        "positive": (values > 0).mean((1, 2)),
        "effective": holds.mean(1),
    }
    for name, of_images in expected.items():
        assert layer.mean[name] == pytest.approx(of_images.mean(), rel=1e-12)
        error = of_images.std(ddof=0) / np.sqrt(19)
        assert layer.error[name] == pytest.approx(error, rel=1e-9)
    rates = (values > 0).mean((0, 1))
    np.testing.assert_allclose(layer.rates, np.quantile(rates, QUANTILES), atol=1e-12)
    assert layer.dead == pytest.approx(1 / 9)


def test_an_untrained_rectifier_is_half_active_and_planted_units_are_dead():
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(64, 40, generator=generator)
    images = torch.randn(500, 1, 64, generator=generator)
    values = (images @ weight).relu()
    values[:, :, :6] = 0
    layer = summed(values[:, :, 6:].numpy())
    assert layer.mean["positive"] == pytest.approx(0.5, abs=4 * layer.error["positive"])
    assert layer.error["positive"] < 0.01
    assert layer.dead == 0
    assert summed(values.numpy()).dead == pytest.approx(6 / 40)


def test_effective_units():
    values = torch.tensor([[3.0, 0, 0, 0], [1, 1, 1, 1], [10, 1, 0.1, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(effective(values), [0.25, 1, 0.25, 0])
    assert POSITIONS >= 1


def test_the_largest_are_kept_and_all_of_them_change_nothing():
    values = torch.randn(2, 5, 3, 3)
    assert torch.equal(keep_largest(values, 1.0, 1), values)
    kept = keep_largest(values, 0.4, 1)
    assert ((kept != 0).sum(1) == 2).all()
    expected = np.sort(values.numpy(), axis=1)[:, -2:].sum(1)
    np.testing.assert_allclose(kept.sum(1), expected, rtol=1e-5)


def test_calibration():
    confidence = np.array([0.95, 0.95, 0.55, 0.55, 1.0])
    right = np.array([True, False, True, True, True])
    # Bins of a fifteenth: 0.95 and 1.0 share the last one.
    expected = (abs(0.95 + 0.95 + 1.0 - 2) + abs(1.1 - 2)) / 5
    assert calibration_error(confidence, right) == pytest.approx(expected)
    draws = np.random.default_rng(0).random(20000)
    sure = 0.5 + draws / 2
    calibrated = np.random.default_rng(1).random(20000) < sure
    assert calibration_error(sure, calibrated) < 0.02
