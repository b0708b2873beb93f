"""An autoencoder beside the dictionary: trained again here, encoded and scored by NumPy."""

import json
from itertools import pairwise

import h5py
import numpy as np
import pytest
import torch
from contents import check_with_sklearn
from safetensors.numpy import load_file
from scipy.optimize import linear_sum_assignment
from small_run import on

from vinfo_mpi import Results
from vinfo_mpi.concepts.saes import training
from vinfo_mpi.costs.sizes import Sizes
from vinfo_mpi.costs.workload import Workload
from vinfo_mpi.numerics.topk_training import TopKTraining
from vinfo_mpi.pipeline.plan import costs_of_stages

FEATURES, TOP_K = 24, 4


@pytest.fixture(scope="module")
def vectors(stored):
    return stored[2]["penultimate/activations"].astype(float)


@pytest.fixture(scope="module")
def trained(vectors):
    """Trainings of both seeds, on one rank: the run has had two."""
    rows = torch.from_numpy(vectors).float().flatten(0, 1)
    models = []
    for seed in (0, 1):
        fit = TopKTraining(rows, FEATURES, TOP_K, 60, 64, 3e-3, seed)
        fit.advance(range(60))
        models.append(fit.trained())
    return models


@pytest.fixture(scope="module")
def codes(run, vectors):
    """The codes of all features at all positions, as SAELens's formula gives them."""
    file = load_file(run[0] / "autoencoder/sae_weights.safetensors")
    before = (vectors - file["b_dec"]) @ file["W_enc"] + file["b_enc"]
    largest = np.sort(before, -1)[..., -TOP_K, None]
    return np.where(before >= largest, np.maximum(before, 0), 0)


def test_the_file_is_that_of_the_same_training_on_one_rank(run, trained):
    file = load_file(run[0] / "autoencoder/sae_weights.safetensors")
    model = trained[0]
    for name, expected in {
        "W_dec": model.atoms,
        "W_enc": model.encoder.weight.T,
        "b_dec": model.offset,
    }.items():
        np.testing.assert_array_equal(file[name], expected.float())
    settings = json.loads((run[0] / "autoencoder/cfg.json").read_text())
    assert settings["architecture"] == "topk" and settings["k"] == TOP_K
    assert not (run[0] / "autoencoder/seed_1").exists()


def test_features_have_the_numbers_that_their_codes_give(run, results, stored, codes):
    living = np.flatnonzero((codes > 0).any((0, 1)))
    np.testing.assert_array_equal(results["autoencoder/feature"], living)
    np.testing.assert_allclose(results["autoencoder/firing"], (codes > 0).mean((0, 1))[living])
    assert results["autoencoder/l0"][0] == pytest.approx((codes > 0).sum(-1).mean())
    of_images = codes.mean(1)[:, living]
    computed = check_with_sklearn().Run(run[0])
    v = np.array(
        [
            computed.v("score", computed.tap(computed.final, tap), of_images)[0]
            for tap in computed.taps()
        ]
    )
    alive = np.isfinite(results["autoencoder/complexity"])
    assert alive.sum() > 5
    np.testing.assert_allclose(
        results["autoencoder/complexity"][alive], 1 - v.mean(0)[alive], atol=1e-6
    )
    parts = sum(results[f"autoencoder/{part}"] for part in ("unreadable", "late", "discarded"))
    np.testing.assert_allclose(parts, results["autoencoder/complexity"])
    atoms = load_file(run[0] / "autoencoder/sae_weights.safetensors")["W_dec"][living]
    slopes = (stored[2]["head/weight"] @ atoms.T)[stored[2]["samples/prediction"]]
    np.testing.assert_allclose(
        results["autoencoder/importance"], np.abs(of_images * slopes).mean(0), rtol=1e-4, atol=1e-9
    )


def test_both_dictionaries_are_as_faithful_as_they_say(run, results, vectors, codes):
    file = load_file(run[0] / "autoencoder/sae_weights.safetensors")
    rebuilt = codes @ file["W_dec"] + file["b_dec"]
    error = np.linalg.norm(vectors - rebuilt) / np.linalg.norm(vectors)
    own, of_features = results["autoencoder/relative_error_positions"]
    assert of_features == pytest.approx(error, rel=1e-5)
    with h5py.File(run[0] / "codes.h5") as stored_codes:
        assert own == stored_codes.attrs["relative_error_positions"]
    assert [name.decode() for name in results["autoencoder/dictionaries"]] == ["nmf", "autoencoder"]


def test_similarity_is_that_to_the_best_assignment_of_another_training(results, trained, vectors):
    rows = torch.from_numpy(vectors).flatten(0, 1)
    living = [model.atoms[(model.encoder(rows) > 0).any(0)].numpy() for model in trained]
    assert results["autoencoder/living"].tolist() == [len(atoms) for atoms in living]
    cosines = living[0] @ living[1].T
    first, second = linear_sum_assignment(-cosines)
    expected = np.zeros(len(living[0]))
    expected[first] = cosines[first, second]
    np.testing.assert_allclose(results["autoencoder/similarity"][0], expected, atol=1e-6)
    assert results["autoencoder/seeds"].tolist() == [0, 1]


def test_the_table_has_means_of_both_and_their_difference(run, results):
    table = Results(run[0]).side_by_side
    own = results["concepts/complexity"][results["concepts/alive"].astype(bool)]
    row = table.loc["complexity"]
    means = [own.mean(), np.nanmean(results["autoencoder/complexity"])]
    assert row[["nmf", "autoencoder"]].tolist() == pytest.approx(means)
    assert row["difference"] == pytest.approx(means[1] - means[0])
    assert row["difference ±"] == pytest.approx(np.hypot(row["nmf ±"], row["autoencoder ±"]))
    cosines = [results["concepts/stability"].mean(), results["autoencoder/similarity"].mean()]
    last = table.loc["matched cosine, other fits"]
    assert last[["nmf", "autoencoder"]].tolist() == pytest.approx(cosines)


def test_what_is_encoded_is_learned_from_and_no_more_than_so_many(run, vectors):
    pooled = training.vectors(on(run[0], "encode.positions=pooled"))
    np.testing.assert_allclose(pooled, vectors.mean(1), rtol=1e-6)
    few = training.vectors(on(run[0], f"autoencoder.vectors={3 * vectors.shape[1]}"))
    ends = vectors[[0, (len(vectors) - 1) // 2, -1]]
    np.testing.assert_array_equal(few, ends.reshape(-1, vectors.shape[2]).astype(np.float32))


def test_the_plan_grows_with_the_features(run):
    sizes = Sizes(**json.loads((run[0] / "plan.json").read_text())["sizes"])
    planned = []
    for features in (100, 1000, 10_000):
        config = on(run[0], f"autoencoder.features={features}").config
        work = Workload(sizes, config, ranks=2)
        planned.append(costs_of_stages(["autoencoder"], work)["autoencoder"])
    for few, many in pairwise(planned):
        assert many.disk["autoencoder"] > 5 * few.disk["autoencoder"]
        assert many.memory > few.memory and many.operations > 5 * few.operations
