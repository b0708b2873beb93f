"""Families of predictors and estimators side by side."""

import json
import shutil

import h5py
import numpy as np
import pytest
import torch
from contents import SMALL, check_with_sklearn, datasets
from scipy import stats

from vinfo_mpi.config.load import load_config
from vinfo_mpi.costs.sizes import Sizes
from vinfo_mpi.costs.workload import Workload
from vinfo_mpi.numerics import folds, fourier, ridge
from vinfo_mpi.stages import score

OPTIONS = [
    *("--set", "score.also=[in-sample, random-features, within-classes, classes-alone]"),
    *("--set", "score.random_features=60"),
    "--only",
]


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory, mpirun):
    folder = shutil.copytree(run[0], tmp_path_factory.mktemp("also") / "run")
    done = mpirun(3, "-m", "vinfo_mpi.score", *SMALL, *OPTIONS, "--run-dir", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def stored(folder):
    values = datasets(folder / "activations/epoch_002.h5")
    codes = datasets(folder / "codes.h5")["codes"]
    return values, codes, folds.assign(values["samples/id"], values["samples/label"], 5, 0)


def test_the_main_predictors_stay_as_they_are(run, folder):
    before = datasets(run[0] / "results.h5")
    now = datasets(folder / "results.h5")
    for name in ("vinformation", "concepts/complexity", "concepts/complexity_se", "penalty"):
        np.testing.assert_allclose(now[name], before[name], atol=1e-9)


def test_what_follows_from_the_sums_alone(folder, stored):
    """Parts of the atoms in the mean vector, how evenly concepts are used, far means of taps."""
    values, codes, _ = stored
    results = datasets(folder / "results.h5")
    atoms = datasets(folder / "dictionary.h5")["atoms"]
    parts = codes.mean(0)[:, None] * atoms
    np.testing.assert_allclose(results["concepts/energy"], (parts**2).sum(1), rtol=1e-12)
    expected = np.exp(stats.entropy(codes.sum(0)))
    assert results["effective_concepts"] == pytest.approx(expected, rel=1e-12)
    for tap, severity in zip(results["taps"], results["outlier_severity"], strict=True):
        x = values[f"taps/{tap.decode()}/activations"].astype(float)
        mean = x.mean(0) + values[f"taps/{tap.decode()}/shift"]
        expected = np.linalg.norm(mean) / np.linalg.norm(x.std(0))
        assert severity == pytest.approx(expected, rel=1e-6)


def test_in_sample_is_the_fit_of_least_squares(folder, stored):
    values, codes, _ = stored
    results = datasets(folder / "results.h5")
    x = values["taps/layer4.1/activations"].astype(float)
    design = np.column_stack([np.ones(len(x)), x])
    residual = codes - design @ np.linalg.lstsq(design, codes, rcond=None)[0]
    expected = 1 - residual.var(0) / codes.var(0)
    here = results["predictors/in-sample/vinformation"][-1]
    np.testing.assert_allclose(here, expected, atol=1e-3)  # the smallest penalty is not none
    assert (here <= expected + 1e-9).all()
    assert (here >= results["vinformation"][-1] - 1e-9).all()
    np.testing.assert_allclose(
        results["predictors/in-sample/complexity"],
        1 - results["predictors/in-sample/vinformation"].mean(0),
        atol=1e-12,
    )
    assert np.isnan(results["predictors/in-sample/complexity_se"]).all()


def test_other_linear_predictors_are_those_of_scikit_learn(folder):
    check = check_with_sklearn()
    run = check.Run(folder)
    numbers = check.predictors(run)
    assert len(numbers) == 6  # V-information and complexity, random features left out
    for name, computed in numbers.items():
        assert check.difference(run, name, computed) < 1e-9, name


def test_random_features_are_those_of_the_whole_tap(folder, stored):
    values, codes, fold = stored
    r2 = datasets(folder / "results.h5")["predictors/random-features/vinformation"]
    x = values["taps/layer2.1/activations"].astype(float)
    mean = to_tensor(x.mean(0))
    std = to_tensor(x.std(0))
    pilot = to_tensor(x[:: len(x) // 256][:256])
    make = fourier.make(mean, std, pilot, 60, 0)
    expected = ridge.r2(make(to_tensor(x)).numpy(), codes, fold).r2
    np.testing.assert_allclose(r2[3], expected, atol=1e-8)


def test_every_family_says_what_it_is(folder):
    with h5py.File(folder / "results.h5") as file:
        assert (
            "random-features, held-out"
            in file["predictors/random-features/vinformation"].attrs["description"]
        )
        assert "linear, in-sample" in file["predictors/in-sample/complexity"].attrs["description"]
        assert file["predictors/in-sample/vinformation"].dims[0][0].name == "/taps"


def test_what_other_predictors_send_is_foreseen(folder):
    sizes = Sizes(**json.loads((folder / "plan.json").read_text())["sizes"])
    sent = json.loads((folder / "timings.json").read_text())["score"]["bytes"]["communicated"]
    work = Workload(sizes, load_config(folder / "config.yaml"), ranks=3)
    assert sent == score.costs(work).sent


def to_tensor(values):
    return torch.from_numpy(np.ascontiguousarray(values))
