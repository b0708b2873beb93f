"""Stability, from fits made here: every assignment of atoms is tried."""

from itertools import permutations

import h5py
import numpy as np
import pytest
import torch
from contents import check_with_sklearn, datasets
from scipy.optimize import nnls
from small_run import on, run_stage

from vinfo_mpi.analyses.stability import deviation
from vinfo_mpi.errors import NotApplicable, Stopped
from vinfo_mpi.numerics import nmf
from vinfo_mpi.pipeline.engine import bring_up_to_date
from vinfo_mpi.storage.hdf5 import FORMAT_VERSIONS, Table, write_tables

REPEATED = ("dictionary", "encode", "score")


@pytest.fixture(scope="module")
def files(run):
    names = ("activations/epoch_002.h5", "dictionary.h5", "results.h5")
    return [datasets(run[0] / name) for name in names]


@pytest.fixture(scope="module")
def matched(files):
    """Relative error, and atoms in the order of the dictionary's, of fits made here."""
    stored, dictionary, _ = files
    x = stored["penultimate/activations"].astype(float)
    group = torch.from_numpy(stored["samples/label"].repeat(x.shape[1]))
    x = torch.from_numpy(x).flatten(0, 1)
    fits = []
    for seed in (1, 2):
        fit = nmf.fit(x, 4, group, 10, init="random", seed=seed)
        rebuilt = torch.stack([fit.codes[:, i] @ fit.atoms[label] for i, label in enumerate(group)])
        atoms = np.empty_like(dictionary["atoms"])
        for label in range(10):
            concepts = np.flatnonzero(dictionary["class"] == label)
            of_class = fit.atoms[label].numpy()
            cosines = dictionary["atoms"][concepts] @ of_class.T  # both of unit length
            best = max(permutations(range(4)), key=lambda order: cosines[range(4), order].sum())
            atoms[concepts] = of_class[list(best)]
        fits.append((float((x - rebuilt).norm() / x.norm()), atoms))
    return fits


def test_similarity_is_that_of_the_best_assignment_to_another_fit(files, matched):
    _, dictionary, results = files
    assert results["stability/seeds"].tolist() == [1, 2]
    for row, (error, atoms) in enumerate(matched):
        assert results["stability/relative_error"][row] == pytest.approx(error, rel=1e-3)
        cosines = (dictionary["atoms"] * atoms).sum(1)
        np.testing.assert_allclose(results["stability/similarity"][row], cosines, atol=1e-9)


def test_counterparts_are_encoded_and_scored_as_by_scipy_and_scikit_learn(run, files, matched):
    stored, _, results = files
    vectors = stored["penultimate/activations"].astype(float)
    codes = [[nnls(matched[0][1].T, x)[0] for x in of_image] for of_image in vectors]
    computed = check_with_sklearn().Run(run[0])
    v = [
        computed.v("score", computed.tap(computed.final, tap), np.mean(codes, axis=1))[0]
        for tap in computed.taps()
    ]
    running = np.maximum.accumulate(v)
    expected = {
        "complexity": 1 - np.mean(v, 0),
        "unreadable": 1 - running[-1],
        "late": running[-1] - running.mean(0),
        "discarded": (running - v).mean(0),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(results[f"stability/{name}"][0], values, atol=2e-3)


def test_the_error_for_the_start_is_the_deviation_over_all_fits(files):
    results = files[2]
    over_fits = np.vstack([results["concepts/complexity"], results["stability/complexity"]])
    expected = np.std(over_fits, axis=0, ddof=1)
    np.testing.assert_allclose(results["concepts/dictionary_se"], expected, atol=1e-12)


def test_counterparts_without_variance_are_left_out():
    own = np.array([0.5, 0.5, 0.5, np.nan])
    of_fits = np.array([[0.7, np.nan, np.nan, 0.1], [0.3, 0.6, np.nan, 0.2]])
    expected = [0.2, 0.05 * 2**0.5, np.nan, np.nan]
    np.testing.assert_allclose(deviation(own, of_fits), expected)


def test_columns_are_mean_and_error_over_the_fits(files):
    results = files[2]
    first, second = results["stability/similarity"]
    np.testing.assert_allclose(results["concepts/stability"], (first + second) / 2, rtol=1e-12)
    np.testing.assert_allclose(
        results["concepts/stability_se"], np.abs(first - second) / 2, atol=1e-12
    )
    # Fits from random atoms are alike, and not the same.
    assert 0.3 < results["concepts/stability"].mean() < 0.999


def test_an_ended_stage_goes_on_with_fits_and_within_one(files, copy, monkeypatch, caplog):
    folder = copy(
        "config.yaml", "checkpoints", "activations", "dictionary.h5", "codes.h5", "results.h5"
    )
    with h5py.File(folder / "results.h5", "r+") as file:
        key = file["provenance/stability"].attrs["fingerprint"]
        del file["provenance/stability"]
    done = {"similarity": np.linspace(0, 1, 40), "relative_error": np.array(0.5)}
    done |= dict.fromkeys(("complexity", "unreadable", "late", "discarded"), np.full(40, 0.25))
    tables = {name: Table(values, "done") for name, values in done.items()}
    attributes = {
        "filetype": "vinfo-piece",
        "format_version": FORMAT_VERSIONS["vinfo-piece"],
        "fingerprint": key,
    }
    write_tables(folder / ".stability.pieces/seed_1.h5", tables, attributes)

    def stop(run, part):
        raise Stopped

    run = on(folder)
    caplog.set_level("INFO")
    with monkeypatch.context() as patched, pytest.raises(Stopped):
        patched.setattr("vinfo_mpi.stages.score.score_concepts", stop)
        bring_up_to_date(run, ["stability"], only=True)
    bring_up_to_date(run, ["stability"], only=True)
    assert "stability: 1 fits reused, 1 new" in caplog.text
    began = [caplog.text.count(f"stability: epoch_002: {stage}") for stage in REPEATED]
    assert began == [1, 1, 2]
    results = datasets(folder / "results.h5")
    for name, of_first in done.items():
        np.testing.assert_array_equal(results[f"stability/{name}"][0], of_first)
        np.testing.assert_allclose(
            results[f"stability/{name}"][1], files[2][f"stability/{name}"][1], atol=1e-9
        )
    assert not (folder / ".stability.pieces").exists()
    assert not (folder / "stability").exists()


def test_a_dictionary_that_is_not_fitted_is_refused(tmp_path):
    with pytest.raises(NotApplicable, match=r"there is none where dictionary.source is pca"):
        run_stage(on(tmp_path, "dictionary.source=pca"), "stability")
