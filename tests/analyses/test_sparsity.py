"""Sparsity, from the stored shares of every image."""

import h5py
import numpy as np
import pytest
from contents import datasets
from scipy import stats


def test_mean_and_standard_error_over_the_images(run, results):
    taps = [name.decode() for name in results["sparsity/taps"]]
    assert taps == [name.decode() for name in results["taps"]]
    np.testing.assert_array_equal(results["sparsity/checkpoints"], [0, 1, 2])
    assert results["sparsity/nonzero"].shape == (3, 8)
    for epoch in range(3):
        stored = datasets(run[0] / f"activations/epoch_{epoch:03d}.h5")
        for order, tap in enumerate(taps):
            shares = stored[f"taps/{tap}/nonzero"].astype(float)
            assert results["sparsity/nonzero"][epoch, order] == pytest.approx(
                shares.mean(), rel=1e-12
            )
            assert results["sparsity/nonzero_se"][epoch, order] == pytest.approx(
                stats.sem(shares), rel=1e-9
            )


def test_the_last_tap_is_the_map_that_is_kept(run, results):
    feature_map = datasets(run[0] / "activations/epoch_002.h5")["penultimate/activations"]
    assert results["sparsity/nonzero"][2, -1] == pytest.approx((feature_map != 0).mean(), rel=1e-6)


def test_axes_are_numbered(run):
    with h5py.File(run[0] / "results.h5") as file:
        assert [axis[0].name for axis in file["sparsity/nonzero"].dims] == [
            "/sparsity/checkpoints",
            "/sparsity/taps",
        ]
