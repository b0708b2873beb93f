"""Monosemanticity of the small run, pair by pair; references from elsewhere; what is refused."""

import zlib

import h5py
import numpy as np
import pytest
from contents import datasets
from drawings import numbers
from small_run import on, run_stage

from vinfo_mpi import Results
from vinfo_mpi.errors import InputError
from vinfo_mpi.figures.catalogue import FIGURES
from vinfo_mpi.numerics import folds

STRONGEST = 30
WHOLE = ("config.yaml", "checkpoints", "activations", "codes.h5", "results.h5")


@pytest.fixture(scope="module")
def codes(run):
    return datasets(run[0] / "codes.h5")["codes"].astype(float)


def pair_by_pair(weights, embeddings):
    """Return the weighted mean cosine of every two images, from the matrix of all cosines."""
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    upper = np.triu(units @ units.T, 1)
    both = np.triu(np.outer(weights, weights), 1)
    return (both * upper).sum() / both.sum()


def expected_of(codes, embeddings):
    """Return monosemanticity and clarity of every concept."""
    alike, clear = [], []
    for code in codes.T:
        least, largest = code.min(), code.max()
        alike.append(pair_by_pair((code - least) / (largest - least), embeddings))
        top = [row for row in np.argsort(-code, kind="stable")[:STRONGEST] if code[row] > 0]
        clear.append(pair_by_pair(np.ones(len(top)), embeddings[top]))
    return np.array(alike), np.array(clear)


def test_the_last_tap_pair_by_pair(results, stored, codes):
    x = stored[-1]["taps/layer4.1/activations"].astype(float)
    centred = x - x.mean(0)
    alike, clear = expected_of(codes, centred)
    np.testing.assert_allclose(results["concepts/monosemanticity"], alike, atol=1e-9)
    np.testing.assert_allclose(results["concepts/clarity"], clear, atol=1e-9)
    of_all = pair_by_pair(np.ones(len(x)), centred)
    assert results["monosemanticity/all_pairs"] == pytest.approx(of_all, abs=1e-9)
    fold = folds.assign(stored[-1]["samples/id"], stored[-1]["samples/label"], 5)
    code = (codes[:, 3] - codes[:, 3].min()) / np.ptp(codes[:, 3])
    rests = [fold != number for number in range(5)]
    without = np.array([pair_by_pair(code[rest], centred[rest]) for rest in rests])
    error = np.sqrt(4 / 5 * np.square(without - without.mean()).sum())
    assert results["concepts/monosemanticity_se"][3] == pytest.approx(error, rel=1e-6)


def test_embeddings_of_a_file_are_taken_as_they_are(copy, codes, stored, tmp_path):
    folder = copy(*WHOLE)
    images = len(on(folder).subject.images.labels)
    embeddings = np.random.default_rng(0).normal(0.3, 1, size=(images, 6))
    np.save(tmp_path / "images.npy", embeddings.astype(np.float32))
    run_stage(on(folder, f"monosemanticity.images={tmp_path}/images.npy"), "monosemanticity")
    measured = datasets(folder / "results.h5")
    alike, clear = expected_of(codes, embeddings[stored[-1]["samples/id"]])
    np.testing.assert_allclose(measured["concepts/monosemanticity"], alike, atol=1e-6)
    np.testing.assert_allclose(measured["concepts/clarity"], clear, atol=1e-6)


def test_another_run_is_a_reference_by_its_tap(copy, codes, stored):
    folder = copy(*WHOLE)
    options = {"activations": folder / "activations/epoch_000.h5", "tap": "layer2.0"}
    settings = [f"monosemanticity.{name}={value}" for name, value in options.items()]
    run_stage(on(folder, *settings), "monosemanticity")
    x = stored[0]["taps/layer2.0/activations"].astype(float)
    alike, _ = expected_of(codes, x - x.mean(0))
    measured = datasets(folder / "results.h5")["concepts/monosemanticity"]
    np.testing.assert_allclose(measured, alike, atol=1e-9)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("tap=layer4.2", r"has no tap 'layer4\.2'; did you mean"),
        ("images={}/few.npy", r"few\.npy has shape \(3, 2\); expected \(1797, e\)"),
        ("activations={}/none.h5", r"none\.h5"),
    ],
)
def test_what_does_not_fit_is_refused(run, tmp_path, setting, sentence):
    np.save(tmp_path / "few.npy", np.ones((3, 2)))
    with pytest.raises(InputError, match=sentence):
        run_stage(on(run[0], f"monosemanticity.{setting}".format(tmp_path)), "monosemanticity")


def test_other_images_are_refused(copy, run):
    folder = copy(*WHOLE)
    fewer = on(folder, f"monosemanticity.activations={run[0]}/activations/epoch_002.h5")
    for path in (folder / "activations").glob("*.h5"):
        _exchange_two_images(path)
    _exchange_two_images(folder / "codes.h5")
    with pytest.raises(InputError, match=r"has other images than .* image 0 has the id"):
        run_stage(fewer, "monosemanticity")


def _exchange_two_images(path):
    with h5py.File(path, "r+") as file:
        ids = file["samples/id"][()]
        ids[[0, 1]] = ids[[1, 0]]
        file["samples/id"][...] = ids
        column = file["checksums"].attrs["columns"].split().index("samples/id")
        for row in (0, 1):
            file["checksums"][row, column] = zlib.crc32(ids[row].tobytes())


def test_the_figure_says_the_means(run):
    results = Results(run[0])
    said = numbers(FIGURES["monosemanticity"].sentence(results))
    living = results.living
    assert said[0] == pytest.approx(living["monosemanticity"].mean(), abs=0.00501)
    assert living["monosemanticity"].max() in [pytest.approx(each, abs=0.00501) for each in said]
