"""Migration of the small run, from the grid that sedimentation has stored."""

import h5py
import numpy as np
import pytest
from small_run import on, run_stage

from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.numerics.migration import KINDS


def test_paths_are_those_of_the_grid(results):
    grid = results["sedimentation/grid"]
    np.testing.assert_array_equal(
        results["migration/checkpoints"], results["sedimentation/checkpoints"]
    )
    without_reference = grid.reshape(-1, grid.shape[2])[:-1]
    mask = grid > without_reference.max(0) / 2
    weights = mask * np.exp(grid)
    with np.errstate(invalid="ignore"):
        centre = (weights * np.arange(8)[:, None]).sum(1) / weights.sum(1)
    np.testing.assert_allclose(results["migration/centre"], centre)
    activity = (mask * grid).sum(1) / 8
    np.testing.assert_allclose(results["migration/activity"], activity)


def test_shares_of_the_kinds(results):
    assert [name.decode() for name in results["migration/kinds"]] == list(KINDS)
    living = results["concepts/path_kind"][results["concepts/alive"] == 1]
    shares = np.bincount(living[living >= 0], minlength=len(KINDS)) / len(living)
    np.testing.assert_allclose(results["migration/share"], shares)
    assert (results["migration/share_se"] < 0.3).all()


def test_axes_are_numbered(run):
    with h5py.File(run[0] / "results.h5") as file:
        scales = [axis[0].name for axis in file["migration/centre"].dims]
        assert scales == ["/migration/checkpoints", "/concepts/index"]
        assert file["migration/share"].dims[0][0].name == "/migration/kinds"


def test_without_the_grid_it_says_who_measures_it(copy):
    folder = copy("activations", "checkpoints", "results.h5")
    with h5py.File(folder / "results.h5", "r+") as file:
        del file["sedimentation/grid"]
    with pytest.raises(NotApplicable, match="which sedimentation has not measured"):
        run_stage(on(folder), "migration")
