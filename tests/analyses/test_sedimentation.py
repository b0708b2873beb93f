"""Sedimentation, from the stored activations and maps: concepts by scikit-learn and scipy."""

import h5py
import numpy as np
import pytest
from contents import datasets
from drawings import over_classes
from scipy.optimize import nnls
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge
from small_run import on, run_stage

from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.numerics import folds
from vinfo_mpi.numerics.arrays import stack_padded
from vinfo_mpi.pipeline.engine import bring_up_to_date

PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)


@pytest.fixture(scope="module")
def of_epoch_1(run):
    """The files that hold the concepts of epoch 1: dictionary, codes, results."""
    return [
        datasets(run[0] / f"sedimentation/epoch_001/{name}.h5")
        for name in ("dictionary", "codes", "results")
    ]


def vinformation(stored, tap, z):
    """Return held-out R² of ridge regression with the best penalty."""
    x = stored[f"taps/{tap}/activations"].astype(float)
    fold = folds.assign(stored["samples/id"], stored["samples/label"], 5, 0)
    errors = np.zeros(len(PENALTIES))
    for left_out in range(5):
        train = fold != left_out
        test = fold == left_out
        std = x[train].std(0)
        scaled = (x - x[train].mean(0)) / np.where(std > 0, std, 1)
        for number, penalty in enumerate(PENALTIES):
            # The mean eigenvalue of a correlation matrix is the share of channels that vary.
            model = Ridge(alpha=train.sum() * penalty * (std > 0).mean()).fit(
                scaled[train], z[train]
            )
            errors[number] += np.square(z[test] - model.predict(scaled[test])).sum()
    return max(0, 1 - errors.min() / np.square(z - z.mean()).sum())


def test_the_grid_is_that_of_scikit_learn(run, results, stored):
    codes = datasets(run[0] / "codes.h5")["codes"]
    grid = results["sedimentation/grid"]
    assert grid.shape == (3, 8, 40)
    for epoch, tap, concept in ((0, 0, 3), (0, 7, 17), (1, 5, 39)):
        expected = vinformation(stored[epoch], results["taps"][tap].decode(), codes[:, concept])
        assert grid[epoch, tap, concept] == pytest.approx(expected, abs=1e-8)
    # At either edge other stages have computed the same.
    np.testing.assert_allclose(grid[-1], results["vinformation"], atol=1e-12)
    np.testing.assert_allclose(grid[:, -1], results["dynamics/vinformation"], atol=1e-12)


def test_concepts_of_an_epoch_are_found_in_its_own_network(results, stored, of_epoch_1):
    dictionary, codes, results_of_epoch_1 = of_epoch_1
    maps = stored[1]["penultimate/activations"].astype(float)
    for row in (0, 123, 399):
        expected = np.mean([nnls(dictionary["atoms"].T, vector)[0] for vector in maps[row]], axis=0)
        np.testing.assert_allclose(codes["codes"][row], expected, atol=0.01 * codes["codes"].max())
    slopes = stored[1]["head/weight"].astype(float) @ dictionary["atoms"].T
    importance = np.abs(codes["codes"] * slopes[stored[1]["samples/prediction"]]).mean(0)
    np.testing.assert_allclose(results["sedimentation/importance"][1], importance, rtol=1e-6)
    for concept in (2, 31):
        taps = [
            vinformation(stored[1], tap.decode(), codes["codes"][:, concept])
            for tap in results["taps"]
        ]
        assert results["sedimentation/complexity"][1, concept] == pytest.approx(
            1 - np.mean(taps), abs=1e-8
        )
    np.testing.assert_array_equal(
        results_of_epoch_1["concepts/complexity"], results["sedimentation/complexity"][1]
    )


def test_the_last_epoch_is_the_run_itself(run, results):
    for name in ("complexity", "importance"):
        np.testing.assert_array_equal(
            results[f"sedimentation/{name}"][-1], results[f"concepts/{name}"]
        )
    assert sorted(path.name for path in (run[0] / "sedimentation").iterdir()) == [
        "epoch_000",
        "epoch_001",
    ]


def folder_of(run, epoch):
    return run[0] / f"sedimentation/epoch_{epoch:03d}" if epoch < 2 else run[0]


def test_curves_follow_from_the_concepts_of_each_epoch(run, results, stored):
    for epoch in range(3):
        complexity = results["sedimentation/complexity"][epoch]
        importance = results["sedimentation/importance"][epoch]
        alive = ~np.isnan(complexity)
        by_importance = sorted(np.flatnonzero(alive), key=lambda concept: -importance[concept])
        top = by_importance[:5]  # 1 % of 40 is less
        right = stored[epoch]["samples/prediction"] == stored[epoch]["samples/label"]
        averaged = {
            "mean_complexity": complexity[alive],
            "top_complexity": complexity[top],
            "accuracy": right,
        }
        for name, values in averaged.items():
            mean = results[f"sedimentation/{name}"][epoch]
            error = results[f"sedimentation/{name}_se"][epoch]
            assert mean == pytest.approx(values.mean(), rel=1e-12)
            if name == "mean_complexity":
                classes = results["concepts/class"][alive]
                expected = over_classes(lambda draw, of=values: of[draw].mean(), classes)
                assert error == pytest.approx(expected, rel=0.2)
            elif name == "accuracy":
                assert error == pytest.approx(values.std(ddof=1) / len(values) ** 0.5, rel=1e-12)
        of_epoch = datasets(folder_of(run, epoch) / "results.h5")
        for part_of in ("unreadable", "late", "discarded"):
            mean = results[f"sedimentation/mean_{part_of}"][epoch]
            assert mean == pytest.approx(of_epoch[f"concepts/{part_of}"][alive].mean(), rel=1e-12)
            assert 0 <= results[f"sedimentation/mean_{part_of}_se"][epoch] < 0.2
        expected = spearmanr(complexity[alive], importance[alive]).statistic
        assert results["sedimentation/correlation"][epoch] == pytest.approx(expected, abs=1e-12)
        assert 0 < results["sedimentation/correlation_se"][epoch] < 0.5
        with h5py.File(folder_of(run, epoch) / "codes.h5") as file:
            for name in ("relative_error", "predictions_kept"):
                assert results[f"sedimentation/{name}"][epoch] == file.attrs[name]


def test_epochs_with_fewer_concepts_are_filled_up():
    stacked = stack_padded([np.array([1.0]), np.array([2.0, 3.0]), np.array([])])
    np.testing.assert_array_equal(stacked, [[1, np.nan], [2, 3], [np.nan, np.nan]])
    np.testing.assert_array_equal(stack_padded([np.array(1.0), np.array(2.0)]), [1, 2])


def test_concepts_that_were_found_are_not_looked_for_again(copy, results):
    folder = copy(
        "activations", "checkpoints", "dictionary.h5", "codes.h5", "results.h5", "sedimentation"
    )
    times = {
        path: path.stat().st_mtime_ns
        for path in folder.rglob("*.h5")
        if path != folder / "results.h5"
    }
    bring_up_to_date(on(folder, "sedimentation.at_least=40"), ["sedimentation"])
    again = datasets(folder / "results.h5")
    assert {path: path.stat().st_mtime_ns for path in times} == times
    np.testing.assert_allclose(
        again["sedimentation/top_complexity"], results["sedimentation/mean_complexity"]
    )
    bring_up_to_date(on(folder), ["sedimentation"], force=True)
    for path, time in times.items():
        assert (path.stat().st_mtime_ns == time) != ("sedimentation" in path.parts)
    again = datasets(folder / "results.h5")
    np.testing.assert_allclose(
        again["sedimentation/complexity"], results["sedimentation/complexity"], atol=1e-9
    )


def test_axes_are_numbered(run):
    with h5py.File(run[0] / "results.h5") as file:
        scales = [
            [axis[0].name for axis in file[f"sedimentation/{name}"].dims if len(axis)]
            for name in ("grid", "complexity")
        ]
    assert scales == [
        ["/sedimentation/checkpoints", "/taps", "/concepts/index"],
        ["/sedimentation/epochs"],
    ]


@pytest.mark.parametrize("maps", ["final", "[2]"])
def test_one_map_is_not_enough(run, maps):
    with pytest.raises(NotApplicable, match="that is kept of 1 of 3; set"):
        run_stage(on(run[0], f"extract.maps={maps}"), "sedimentation")
