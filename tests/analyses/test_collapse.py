"""Neural collapse of the small run, from its stored activations by plain numpy."""

import zlib

import h5py
import numpy as np
import pytest
from neural_collapse import directly
from small_run import on, run_stage

from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.numerics import folds

LAST = "taps/layer4.1/activations"


@pytest.mark.parametrize("epoch", [0, 2])
def test_everything_equals_the_raw_arrays(results, stored, epoch):
    file = stored[epoch]
    x = file[LAST].astype(float)
    labels = file["samples/label"]
    weight = file["head/weight"].astype(float)
    expected = directly(x, labels, weight)
    fold = folds.assign(file["samples/id"], labels, 5)
    rests = [fold != number for number in range(5)]
    without = [directly(x[rest], labels[rest], weight) for rest in rests]
    for name, value in expected.items():
        assert results[f"collapse/{name}"][epoch] == pytest.approx(value, rel=1e-8), name
        values = np.array([of_rest[name] for of_rest in without])
        error = np.sqrt(4 / 5 * np.square(values - values.mean()).sum())
        assert results[f"collapse/{name}_se"][epoch] == pytest.approx(error, rel=1e-6), name


def test_predictions_away_from_the_nearest_mean(results, stored):
    for epoch, file in enumerate(stored):
        x = file[LAST].astype(float)
        means = np.array([x[file["samples/label"] == c].mean(0) for c in range(10)])
        nearest = np.square(x[:, None] - means).sum(2).argmin(1)
        away = nearest != file["samples/prediction"]
        assert results["collapse/nc4"][epoch] == pytest.approx(away.mean(), abs=1e-12)
        error = away.std(ddof=1) / len(away) ** 0.5
        assert results["collapse/nc4_se"][epoch] == pytest.approx(error, abs=1e-12)


def test_epochs_are_numbered(run):
    with h5py.File(run[0] / "results.h5") as file:
        assert file["collapse/nc1"].dims[0][0].name == "/collapse/checkpoints"


def test_images_of_one_class_are_refused(copy):
    folder = copy("activations", "checkpoints", "results.h5")
    for path in (folder / "activations").glob("*.h5"):
        with h5py.File(path, "r+") as file:
            file["samples/label"][...] = 3
            column = file["checksums"].attrs["columns"].split().index("samples/label")
            file["checksums"][:, column] = zlib.crc32(np.int64(3).tobytes())
    with pytest.raises(NotApplicable, match="all images analysed are of one"):
        run_stage(on(folder), "collapse")
