"""A sparse autoencoder that is trained on the small run's last tap, from its file to the scores."""

import itertools
import json

import h5py
import numpy as np
import pytest
import torch
from contents import SMALL, check_with_sklearn, datasets
from safetensors.torch import save_file

from vinfo_mpi import Results
from vinfo_mpi.concepts import encoders
from vinfo_mpi.concepts.sources import concept_kind
from vinfo_mpi.config.load import load_config
from vinfo_mpi.errors import InputError
from vinfo_mpi.run import freshness
from vinfo_mpi.storage import codes as codes_file

LAST, WIDTH = "layer4.1", 32
FEATURES, TOP_K = 48, 4
NUMBER = itertools.count()  # of modules, whose names are remembered


@pytest.fixture(scope="session")
def stored(run):
    return datasets(run[0] / "activations/epoch_002.h5")


@pytest.fixture(scope="session")
def vectors(stored):
    return torch.from_numpy(stored["penultimate/activations"].astype(np.float64)).flatten(0, 1)


class TopK(torch.nn.Module):
    """A TopK autoencoder in float32, with a bias before and after; its last features are dead."""

    def __init__(self, dead=5):
        super().__init__()
        self.encoder = torch.nn.Linear(WIDTH, FEATURES)
        self.decoder = torch.nn.Linear(FEATURES, WIDTH)
        self.encoder.bias.data[-dead:] = -1e6

    def encode(self, x):
        before = self.encoder(x - self.decoder.bias).relu()
        kept = before.topk(TOP_K, dim=1)
        return torch.zeros_like(before).scatter(1, kept.indices, kept.values)

    def decode(self, z):
        return self.decoder(z)


@pytest.fixture(scope="session")
def trained(vectors):
    """The autoencoder after a second of training."""
    torch.manual_seed(0)
    model = TopK()
    model.decoder.bias.data = vectors.mean(0).float()
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for batch in vectors.float().split(128) * 20:
        loss = (model.decode(model.encode(batch)) - batch).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.requires_grad_(False)


@pytest.fixture(scope="session")
def folder(trained, tmp_path_factory):
    """The autoencoder in a folder, as SAELens writes it."""
    path = tmp_path_factory.mktemp("sae")
    state = {
        "W_enc": trained.encoder.weight.T, "b_enc": trained.encoder.bias,
        "W_dec": trained.decoder.weight.T, "b_dec": trained.decoder.bias,
    }  # fmt: skip
    state = {name: tensor.contiguous() for name, tensor in state.items()}
    save_file(state, path / "sae_weights.safetensors")
    (path / "cfg.json").write_text(json.dumps({"architecture": "topk", "k": TOP_K}))
    return path


def test_from_the_file_to_the_scores(with_source, folder, trained, vectors, stored):
    run = with_source("sae", f"dictionary.sae={folder}")
    made, codes = datasets(run.dictionary), datasets(run.codes)["codes"]
    expected = trained.encode(vectors.float()).double()
    living = torch.nonzero(expected.any(0))[:, 0]
    assert len(living) <= FEATURES - 5
    assert made["feature"].tolist() == living.tolist()
    of_images = expected.reshape(len(codes), -1, FEATURES)
    np.testing.assert_allclose(codes, of_images.mean(1)[:, living], atol=1e-5)
    np.testing.assert_allclose(made["firing"], (expected != 0).double().mean(0)[living])
    np.testing.assert_allclose(made["atoms"], trained.decoder.weight.T[living])
    with h5py.File(run.dictionary) as file:
        assert file.attrs["features"] == FEATURES
        assert file.attrs["dead"] == FEATURES - len(living)
        assert file.attrs["l0"] == pytest.approx(float((expected != 0).sum(1).double().mean()))

    # How faithful it is, as the autoencoder itself says.
    rebuilt = trained.decode(expected.float()).double()
    with h5py.File(run.codes) as file:
        error = float((rebuilt - vectors).norm() / vectors.norm())
        assert file.attrs["relative_error_positions"] == pytest.approx(error, abs=1e-5)
        means = rebuilt.reshape(len(codes), -1, WIDTH).mean(1).numpy()
        logits = means @ stored["head/weight"].T + stored["head/bias"]
        kept = (logits.argmax(1) == stored["samples/prediction"]).mean()
        assert file.attrs["predictions_kept"] == pytest.approx(kept, abs=2 / len(codes))

    # Everything after them.
    concepts = Results(run.outputs).concepts
    assert list(concepts["name"]) == [f"feature {number}" for number in living.tolist()]
    differences = dict(check_with_sklearn().compare(run.outputs))
    assert {"concepts/late", "concepts/temporal", "concepts/importance"} <= set(differences)
    assert max(differences.values()) < 1e-9, differences
    count = concept_kind(run.config.dictionary).count(run, LAST, WIDTH, 10)
    assert count == FEATURES >= len(concepts)


def test_codes_of_which_few_are_not_0_are_stored_alone(with_source, folder, monkeypatch):
    settings = f"dictionary.sae={folder}"
    dense = with_source("sae", settings, stages=("dictionary", "encode", "score", "importance"))
    monkeypatch.setattr(codes_file, "SMALLER", 1.2)  # in this small run two thirds of the concepts
    sparse = with_source("sae", settings, stages=("dictionary", "encode", "score", "importance"))
    expected = datasets(dense.codes)["codes"]
    stored = datasets(sparse.codes)
    assert "codes" not in stored and stored["averaged/codes"].shape[1] < expected.shape[1]
    with sparse.open_codes() as codes:
        assert codes.shape("codes") == expected.shape
        np.testing.assert_array_equal(codes.read("codes"), expected)
        np.testing.assert_array_equal(codes.read("codes", range(3, 9)), expected[3:9])
    ours, theirs = datasets(sparse.results), datasets(dense.results)
    for name in ("concepts/complexity", "concepts/importance", "vinformation"):
        np.testing.assert_array_equal(ours[name], theirs[name])
    monkeypatch.setattr(codes_file, "room", lambda most: 1)
    with pytest.raises(InputError, match="an image has more than 1 active features"):
        with_source("sae", settings, stages=("dictionary", "encode"))


def test_pooled_vectors_are_encoded_where_this_is_asked_for(with_source, folder, trained, vectors):
    settings = (f"dictionary.sae={folder}", "encode.positions=pooled")
    run = with_source("sae", *settings, stages=("dictionary", "encode"))
    codes = datasets(run.codes)["codes"]
    pooled = vectors.reshape(len(codes), -1, WIDTH).mean(1).float()
    expected = trained.encode(pooled)[:, datasets(run.dictionary)["feature"]]
    np.testing.assert_allclose(codes, expected, atol=1e-5)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Return a function that writes a module with an autoencoder and returns its target."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(codes="x.relu()", **methods):
        name = f"own_autoencoder_{next(NUMBER)}"
        lines = [f"    def encode(self, x): return {codes}"]
        lines += [f"    def {method}(self, z): return {body}" for method, body in methods.items()]
        text = "import torch\nclass Own:\n" + "\n".join(lines) + "\ndef make(): return Own()\n"
        (tmp_path / f"{name}.py").write_text(text)
        return f"dictionary.sae={name}:make"

    return write


@pytest.mark.parametrize("methods", [{"decode": "2 * z + 1"}, {}], ids=["decode", "nothing"])
def test_an_object_of_ones_own(with_source, own, vectors, methods):
    run = with_source("sae", own("(x - 0.1).relu()", **methods), stages=("dictionary", "encode"))
    made, codes = datasets(run.dictionary), datasets(run.codes)["codes"]
    expected = (vectors - 0.1).relu().numpy()
    of_images = expected.reshape(len(codes), -1, WIDTH).mean(1)
    np.testing.assert_allclose(codes, of_images[:, made["feature"]], atol=1e-6)
    if methods:
        np.testing.assert_allclose(made["atoms"], 2 * np.eye(WIDTH)[made["feature"]], atol=1e-6)
        np.testing.assert_allclose(made["offset"], 1)
    else:
        columns = np.column_stack([np.ones(len(expected)), expected])
        best = np.linalg.lstsq(columns, vectors.numpy(), rcond=None)[0]
        rebuilt = made["offset"] + expected[:, made["feature"]] @ made["atoms"]
        np.testing.assert_allclose(rebuilt, columns @ best, atol=1e-6)


@pytest.mark.parametrize(
    "codes, methods, sentence",
    [
        ("x / 0", {}, "encode returns NaN or infinity"),
        ("x[:1]", {}, r"encode returns shape \(1, 32\) for vectors of shape \(2, 32\)"),
        ("x[:, :len(x)]", {}, r"encode returns shape \(\d+, 32\) for .* expected \(\d+, 2\)"),
        ("x", {"decode": "z[:, :3]"}, r"decode of one vector of codes has shape \(1, 3\)"),
        ("x", {"decode": "z ** 2"}, "decode is not linear, so it has no atoms"),
        ("-x.relu() * 0", {}, "no feature of dictionary.sae: .* fires at layer4.1"),
    ],
)
def test_what_an_object_of_ones_own_may_not_do(with_source, own, codes, methods, sentence):
    with pytest.raises(InputError, match=sentence):
        with_source("sae", own(codes, **methods), stages=("dictionary",))


def test_the_objective_rises_where_the_feature_does_not_fire(with_source, folder, vectors):
    run = with_source("sae", f"dictionary.sae={folder}", stages=("dictionary",))
    encoder = encoders.encoder(run)
    x = vectors[:6].reshape(3, 2, WIDTH).clone().requires_grad_()
    concepts = torch.tensor([0, 3, 5])
    encoder.objective({"map": x}, concepts).sum().backward()
    made = datasets(run.dictionary)
    weight = made["encoder/weight"][made["feature"]][concepts]
    np.testing.assert_allclose(x.grad, np.repeat(weight[:, None] / 2, 2, axis=1))


def test_the_dictionary_follows_the_content_of_the_files(with_source, folder, tmp_path):
    run = with_source("sae", f"dictionary.sae={folder}", stages=("dictionary",))
    assert freshness.is_current(run, "dictionary")
    settings = folder / "cfg.json"
    before = settings.read_text()
    settings.write_text(json.dumps({"architecture": "topk", "k": TOP_K + 1}))
    assert not freshness.is_current(run, "dictionary")
    settings.write_text(before)
    assert freshness.is_current(run, "dictionary")


@pytest.mark.parametrize("settings", [["dictionary.source=sae"], ["dictionary.sae=a/folder"]])
def test_source_and_file_go_together(settings):
    with pytest.raises(InputError, match=r"dictionary\.source: sae and dictionary\.sae: .*both"):
        load_config(SMALL[1], settings)
