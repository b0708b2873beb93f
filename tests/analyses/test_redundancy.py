"""What redundancy is like; tests/test_end_to_end.py computes it again, mask by mask."""

import h5py
import numpy as np
import pytest
from contents import datasets

RATES = [0.1, 0.5, 0.9]


@pytest.fixture(scope="module")
def files(run):
    names = ("activations/epoch_002.h5", "codes.h5", "results.h5")
    return [datasets(run[0] / name) for name in names]


def test_more_channels_leave_more(files):
    np.testing.assert_allclose(files[2]["redundancy/rates"], RATES)
    values = files[2]["redundancy/values"]
    assert np.isfinite(values).all()
    assert (np.diff(values.mean(1)) > 0).all()


def test_axes_are_numbered(run):
    with h5py.File(run[0] / "results.h5") as file:
        assert file["redundancy/values"].dims[0][0].name == "/redundancy/rates"
        assert file["redundancy/values"].dims[1][0].name == "/concepts/index"
