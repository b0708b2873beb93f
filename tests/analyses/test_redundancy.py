"""Redundancy, from the stored activations and codes by the definition of CKA, mask by mask."""

import h5py
import numpy as np
import pytest
from contents import datasets

from vinfo_mpi.numerics import cka

RATES = [0.1, 0.5, 0.9]
CONCEPTS = [0, 17, 39]


@pytest.fixture(scope="module")
def files(run):
    names = ("activations/epoch_002.h5", "codes.h5", "results.h5")
    return [datasets(run[0] / name) for name in names]


def similarity(x, z):
    """Return linear CKA on centred arrays (Kornblith et al. 2019)."""
    x = x - x.mean(0)
    z = z - z.mean()
    return np.square(x.T @ z).sum() / np.linalg.norm(x.T @ x) / (z @ z)


@pytest.fixture(scope="module")
def left(files):
    """What each mask leaves of the CKA of some concepts: (rates, masks, concepts)."""
    stored, codes, _ = files
    x = stored["taps/layer4.1/activations"].astype(float) + stored["taps/layer4.1/shift"]
    zs = codes["codes"][:, CONCEPTS].T
    of_all_channels = np.array([similarity(x, z) for z in zs])
    left = []
    for rate in RATES:
        masks = cka.masks(x.shape[1], rate, 100, 0).numpy()
        left.append([[similarity(x * mask, z) for z in zs] for mask in masks])
    return np.array(left) / of_all_channels


def test_values_are_means_over_masks(files, left):
    results = files[2]
    np.testing.assert_allclose(results["redundancy/rates"], RATES)
    np.testing.assert_allclose(results["redundancy/values"][:, CONCEPTS], left.mean(1), rtol=1e-8)
    np.testing.assert_allclose(
        results["redundancy/values_se"][:, CONCEPTS], left.std(1, ddof=1) / 10, rtol=1e-8
    )


def test_the_column_is_the_mean_over_rates(files, left):
    results = files[2]
    over_rates = left.mean(0)
    np.testing.assert_allclose(
        results["concepts/redundancy"][CONCEPTS], over_rates.mean(0), rtol=1e-8
    )
    np.testing.assert_allclose(
        results["concepts/redundancy_se"][CONCEPTS], over_rates.std(0, ddof=1) / 10, rtol=1e-8
    )


def test_more_channels_leave_more_and_dead_concepts_nothing(files):
    values = files[2]["redundancy/values"]
    alive = files[2]["concepts/alive"].astype(bool)
    assert (np.isfinite(values) == alive).all()
    assert (np.diff(values[:, alive].mean(1)) > 0).all()


def test_axes_are_numbered(run):
    with h5py.File(run[0] / "results.h5") as file:
        assert file["redundancy/values"].dims[0][0].name == "/redundancy/rates"
        assert file["redundancy/values"].dims[1][0].name == "/concepts/index"
