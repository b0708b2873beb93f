"""Sparsity: of the taps from the stored shares, of hidden units from the network itself."""

import h5py
import numpy as np
import pytest
import torch
from contents import datasets
from scipy import stats
from small_run import on
from torch import nn

from vinfo_mpi.numerics.arrays import evenly_spaced


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


@pytest.fixture(scope="module")
def by_hooks(run):
    """What every call of a ReLU gives at epoch 2, and the outputs, of the images in question."""
    study = on(run[0])
    network = study.subject.network(study.final)
    ids = study.subject.ids[evenly_spaced(len(study.subject.ids), 130)]
    [(images, _, labels)] = study.subject.loader.batches([ids])
    maps = []
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda *given: maps.append(given[2].clone()))
    with torch.no_grad():
        outputs = network(images)
    return maps, outputs, labels


def test_hidden_units_are_what_plain_hooks_see(results, by_hooks):
    maps, _, _ = by_hooks
    assert len(results["sparsity/layers"]) == len(maps) == 17
    for layer, values in enumerate(maps):
        assert results["sparsity/units"][layer] == values.shape[1]
        shares = (values > 0).double().mean((1, 2, 3)).numpy()
        assert results["sparsity/positive"][2, layer] == pytest.approx(shares.mean(), abs=1e-5)
        assert results["sparsity/positive_se"][2, layer] == pytest.approx(
            stats.sem(shares), abs=1e-5
        )
        never = ~(values > 0).any(3).any(2).any(0)
        assert results["sparsity/dead"][2, layer] == pytest.approx(never.double().mean().item())
    np.testing.assert_array_equal(results["sparsity/positive"], results["sparsity/units_nonzero"])


def test_the_largest_units_alone(results, by_hooks):
    _, outputs, labels = by_hooks
    np.testing.assert_array_equal(results["sparsity/tops"], [0.05, 1.0])
    right = outputs.argmax(1) == labels
    accuracy = results["sparsity/top_accuracy"]
    assert accuracy[1] == pytest.approx(right.double().mean().item())
    assert accuracy[0] < accuracy[1]
    assert results["sparsity/top_accuracy_se"][1] == pytest.approx(stats.sem(right.double()))
    confidence = outputs.double().softmax(1).amax(1).numpy()
    error = 0
    for low in np.arange(15) / 15:
        inside = (confidence >= low) & (confidence < low + 1 / 15)
        error += abs(confidence[inside].sum() - right.numpy()[inside].sum()) / len(right)
    assert results["sparsity/top_calibration"][1] == pytest.approx(error, abs=1e-4)


def test_axes_are_numbered(run):
    with h5py.File(run[0] / "results.h5") as file:
        for name, last in (("nonzero", "taps"), ("positive", "layers")):
            assert [axis[0].name for axis in file[f"sparsity/{name}"].dims] == [
                "/sparsity/checkpoints",
                f"/sparsity/{last}",
            ]
