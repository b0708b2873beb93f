"""Redundancy, from the stored activations and codes with scikit-learn, mask by mask."""

import h5py
import numpy as np
import pytest
from contents import datasets
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from vinfo_mpi.numerics import folds
from vinfo_mpi.numerics.redundancy import channel_masks
from vinfo_mpi.numerics.ridge import PENALTIES

RATES = [0.1, 0.5, 0.9]
MASKS = 30
FOLDS = 5


@pytest.fixture(scope="module")
def files(run):
    names = ("activations/epoch_002.h5", "codes.h5", "results.h5")
    return [datasets(run[0] / name) for name in names]


def held_out_r2(x, z, fold):
    """Return the cross-validated R² of the best penalty, at least 0: (K,)."""
    errors = np.zeros((len(PENALTIES), z.shape[1]))
    for held_out in range(FOLDS):
        train = fold != held_out
        scaler = StandardScaler().fit(x[train])
        varying = (x[train].std(0) > 0).mean()
        for row, penalty in enumerate(PENALTIES):
            model = Ridge(alpha=penalty * train.sum() * varying)
            model.fit(scaler.transform(x[train]), z[train])
            predicted = model.predict(scaler.transform(x[~train]))
            errors[row] += np.square(z[~train] - predicted).sum(0)
    return np.maximum(0, 1 - errors.min(0) / np.square(z - z.mean(0)).sum(0))


@pytest.fixture(scope="module")
def left(files):
    """What each mask leaves of the V-information of every concept: (rates, masks, K)."""
    stored, codes, _ = files
    x = stored["taps/layer4.1/activations"].astype(float) + stored["taps/layer4.1/shift"]
    z = codes["codes"]
    fold = folds.assign(stored["samples/id"], stored["samples/label"], FOLDS, 0)
    whole = held_out_r2(x, z, fold)
    left = []
    for rate in RATES:
        masks = channel_masks(x.shape[1], rate, MASKS, 0).numpy()
        left.append([held_out_r2(x[:, mask], z, fold) / whole for mask in masks])
    return np.array(left)


def test_values_are_means_over_masks(files, left):
    results = files[2]
    np.testing.assert_allclose(results["redundancy/rates"], RATES)
    np.testing.assert_allclose(results["redundancy/values"], left.mean(1), rtol=1e-6)
    expected = left.std(1, ddof=1) / MASKS**0.5
    np.testing.assert_allclose(results["redundancy/values_se"], expected, rtol=1e-6)


def test_the_column_is_the_mean_over_rates(files, left):
    results = files[2]
    over_rates = left.mean(0)
    np.testing.assert_allclose(results["concepts/redundancy"], over_rates.mean(0), rtol=1e-6)
    expected = over_rates.std(0, ddof=1) / MASKS**0.5
    np.testing.assert_allclose(results["concepts/redundancy_se"], expected, rtol=1e-6)


def test_more_channels_leave_more(files):
    values = files[2]["redundancy/values"]
    assert np.isfinite(values).all()
    assert (np.diff(values.mean(1)) > 0).all()


def test_axes_are_numbered(run):
    with h5py.File(run[0] / "results.h5") as file:
        assert file["redundancy/values"].dims[0][0].name == "/redundancy/rates"
        assert file["redundancy/values"].dims[1][0].name == "/concepts/index"
