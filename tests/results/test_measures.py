"""What the analyses say of concepts, taps and epochs beside each other, from h5py alone."""

import numpy as np
import pytest
from contents import datasets
from scipy.stats import spearmanr

from vinfo_mpi import Results
from vinfo_mpi.results import measures
from vinfo_mpi.results.measures import OF_CONCEPTS


@pytest.fixture(scope="module")
def results(run):
    return Results(run[0])


@pytest.fixture(scope="module")
def stored(run):
    return datasets(run[0] / "results.h5")


def test_every_two_measures_of_concepts_correlate_as_scipy_says(results, stored):
    names, matrix = measures.between_concepts(results)
    assert names == list(OF_CONCEPTS.values()), "the small run has all of them"
    living = stored["concepts/alive"] == 1
    columns = np.stack([stored[f"concepts/{each.column}"][living] for each in OF_CONCEPTS])
    complete = columns[:, np.isfinite(columns).all(axis=0)]
    assert matrix.n == complete.shape[1] > 3
    varying = [row for row, column in enumerate(complete) if np.ptp(column) > 0]
    expected = spearmanr(complete[varying], axis=1).statistic
    assert matrix.values[np.ix_(varying, varying)] == pytest.approx(expected, abs=1e-12)
    constant = [row for row in range(len(columns)) if row not in varying]
    assert np.isnan(matrix.values[constant]).all()


def test_taps_have_the_hidden_units_whose_names_begin_with_theirs(results, stored):
    table = measures.of_taps(results)
    taps = [tap.decode() for tap in stored["taps"]]
    assert table.index.tolist() == taps
    layers = [layer.decode() for layer in stored["sparsity/layers"]]
    shares = stored["sparsity/units_nonzero"][-1]
    for tap in taps:
        within = [share for layer, share in zip(layers, shares, strict=True) if tap in layer]
        assert table.loc[tap, "hidden units on"] == pytest.approx(np.mean(within), rel=1e-14)
    living = stored["concepts/alive"] == 1
    means = stored["vinformation"][:, living].mean(axis=1)
    assert table["mean V-information"].tolist() == pytest.approx(means.tolist(), rel=1e-14)
    codes = [layer.decode() for layer in stored["patterns/layers"]]
    for name, shares in (
        ("codes shared", stored["patterns/equal_redundancy"][-1, 0]),
        ("classes by codes", stored["patterns/knn"][-1]),
    ):
        of_tap = [share for layer, share in zip(codes, shares, strict=True) if taps[0] in layer]
        assert table.loc[taps[0], name] == pytest.approx(np.mean(of_tap), rel=1e-14)
    last = stored["spectrum/effective_dimension"][-1, -1]
    assert table.loc[taps[-1], "effective dimension"] == last


def test_epochs_have_what_was_measured_of_each(results, stored):
    table = measures.of_epochs(results)
    assert table.index.tolist() == stored["dynamics/checkpoints"].tolist()
    own = stored["sedimentation/epochs"]
    assert table.loc[own, "mean K"].tolist() == stored["sedimentation/mean_complexity"].tolist()
    assert table["mean K"].notna().sum() == len(own)
    assert table["NC1"].tolist() == stored["collapse/nc1"].tolist()
    assert table["codes shared"].tolist() == stored["patterns/equal_redundancy"][:, 0, -1].tolist()
    assert table["classes by codes"].tolist() == stored["patterns/knn"][:, -1].tolist()
    units = stored["sparsity/units_nonzero"].mean(axis=1)
    assert table["hidden units on"].tolist() == pytest.approx(units.tolist(), rel=1e-14)
