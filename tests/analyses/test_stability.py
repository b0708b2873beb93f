"""Stability, from fits made here: every assignment of atoms is tried."""

from itertools import permutations

import h5py
import numpy as np
import pytest
import torch
from contents import SMALL, datasets
from small_run import on, run_stage

from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.numerics import nmf
from vinfo_mpi.storage.hdf5 import FORMAT_VERSIONS, Table, write_tables


@pytest.fixture(scope="module")
def files(run):
    names = ("activations/epoch_002.h5", "dictionary.h5", "results.h5")
    return [datasets(run[0] / name) for name in names]


def test_similarity_is_that_of_the_best_assignment_to_another_fit(files):
    stored, dictionary, results = files
    assert results["stability/seeds"].tolist() == [1, 2]
    x = stored["penultimate/activations"].astype(float)
    group = torch.from_numpy(stored["samples/label"].repeat(x.shape[1]))
    x = torch.from_numpy(x).flatten(0, 1)
    for row, seed in enumerate(results["stability/seeds"].tolist()):
        fit = nmf.fit(x, 4, group, 10, init="random", seed=seed)
        rebuilt = torch.stack([fit.codes[:, i] @ fit.atoms[label] for i, label in enumerate(group)])
        assert results["stability/relative_error"][row] == pytest.approx(
            float((x - rebuilt).norm() / x.norm()), rel=1e-3
        )
        for label in range(10):
            concepts = np.flatnonzero(dictionary["class"] == label)
            atoms = dictionary["atoms"][concepts]
            cosines = atoms @ fit.atoms[label].numpy().T  # both of unit length
            best = max(permutations(range(4)), key=lambda order: cosines[range(4), order].sum())
            np.testing.assert_allclose(
                results["stability/similarity"][row, concepts], cosines[range(4), best], atol=1e-9
            )


def test_columns_are_mean_and_error_over_the_fits(files):
    results = files[2]
    first, second = results["stability/similarity"]
    np.testing.assert_allclose(results["concepts/stability"], (first + second) / 2, rtol=1e-12)
    np.testing.assert_allclose(
        results["concepts/stability_se"], np.abs(first - second) / 2, atol=1e-12
    )
    # Fits from random atoms are alike, and not the same.
    assert 0.3 < results["concepts/stability"].mean() < 0.999


def test_an_ended_stage_goes_on_after_the_fits_that_are_done(files, copy, python):
    folder = copy(
        "config.yaml", "checkpoints", "activations", "dictionary.h5", "codes.h5", "results.h5"
    )
    with h5py.File(folder / "results.h5", "r+") as file:
        key = file["provenance/stability"].attrs["fingerprint"]
        del file["provenance/stability"]
    done = {"similarity": np.linspace(0, 1, 40), "relative_error": np.array(0.5)}
    tables = {name: Table(values, "done") for name, values in done.items()}
    attributes = {
        "filetype": "vinfo-piece",
        "format_version": FORMAT_VERSIONS["vinfo-piece"],
        "fingerprint": key,
    }
    write_tables(folder / ".stability.pieces/seed_1.h5", tables, attributes)
    again = python("-m", "vinfo_mpi.analyses.stability", *SMALL, "--run-dir", folder)
    assert again.returncode == 0, again.stderr
    assert "stability: 1 fits reused, 1 new" in again.stderr
    results = datasets(folder / "results.h5")
    np.testing.assert_allclose(
        results["stability/similarity"],
        [done["similarity"], files[2]["stability/similarity"][1]],
        atol=1e-9,
    )
    assert results["stability/relative_error"][0] == 0.5
    assert not (folder / ".stability.pieces").exists()


def test_a_dictionary_that_is_not_fitted_is_refused(tmp_path):
    with pytest.raises(NotApplicable, match=r"there is none where dictionary.source is pca"):
        run_stage(on(tmp_path, "dictionary.source=pca"), "stability")
