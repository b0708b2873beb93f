"""Pictures of concepts: their codes are recomputed by scipy, their spectrum by numpy, and other ranks draw the same."""

from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
from contents import ROOT, datasets
from scipy.optimize import nnls
from sklearn.datasets import load_digits
from small_run import on

from vinfo_mpi.concepts import encoders
from vinfo_mpi.config import schema
from vinfo_mpi.config.load import load_config
from vinfo_mpi.errors import InputError, NotApplicable, Stopped
from vinfo_mpi.parallel import signals
from vinfo_mpi.stages import dictionary, encode, score, visualise
from vinfo_mpi.visualisation import magnitudes
from vinfo_mpi.visualisation.colours import OPPONENT


@pytest.fixture(scope="module")
def stored(run):
    return datasets(run[0] / "visualisation.h5")


def test_most_pictures_exceed_the_99th_percentile_of_real_images(run, stored):
    codes = datasets(run[0] / "codes.h5")["codes"][:, stored["concepts"]]
    np.testing.assert_allclose(stored["reference"], np.percentile(codes, 99, axis=0))
    assert (stored["activations"] > stored["reference"]).mean() >= 0.8
    above = f"{(stored['activations'] > stored['reference']).sum()} of {len(codes[0])} pictures (fourier) activate"
    assert above in run[1].stderr


def test_what_is_stored(run, stored):
    count = len(stored["concepts"])
    complexity = datasets(run[0] / "results.h5")["concepts/complexity"]
    assert {*np.argsort(complexity)[:2], *np.argsort(complexity)[-2:]} <= {*stored["concepts"]}
    assert 10 <= count <= 14
    assert (np.diff(stored["concepts"]) > 0).all()
    assert stored["images"].shape == (count, 16, 16, 3)
    assert stored["transparency"].shape == (count, 16, 16)
    assert stored["images"].dtype == stored["transparency"].dtype == np.uint8
    assert np.ptp(stored["images"].astype(int), axis=3).max() <= 1  # digits are grey
    assert (stored["images"].std((1, 2, 3)) > 5).all()
    assert (stored["transparency"].max((1, 2)) == 255).all()
    with h5py.File(run[0] / "visualisation.h5") as file:
        assert file.attrs["method"] == "fourier"


def test_activations_are_the_codes_of_the_pictures_as_stored(run, stored):
    one, atoms = on(run[0]), datasets(run[0] / "dictionary.h5")["atoms"]
    network, seen = one.subject.network(one.final), []
    network.layer4[-1].register_forward_hook(lambda module, inputs, output: seen.append(output[0].clone()))
    for concept, image, activation in zip(stored["concepts"], stored["images"], stored["activations"], strict=True):
        with torch.no_grad():
            network((torch.from_numpy(image).permute(2, 0, 1)[None] / 255 - 0.5) / 0.5)
        rows = seen[-1].flatten(1).T.double().numpy()
        code = np.mean([nnls(atoms.T, row)[0][concept] for row in rows])
        assert activation == pytest.approx(code, abs=1e-2 * np.abs(rows).max())


def test_another_rank_draws_the_same(run, stored):
    """Alone, and with others: which concepts are drawn together does not matter."""
    one = on(run[0])
    painter = visualise.Painter(one, "layer4.1")
    for rank, size in ((0, 1), (1, 3), (len(stored["concepts"]) - 1, len(stored["concepts"]))):
        mine = np.arange(len(stored["concepts"]))[rank::size]
        found = painter.pictures(stored["concepts"][mine], lambda: None)
        for name in ("images", "transparency"):
            np.testing.assert_allclose(found[name].astype(int), stored[name][mine], atol=1, err_msg=name)
        np.testing.assert_allclose(found["activations"], stored["activations"][mine], rtol=1e-2)
    assert [len(values) for values in painter.pictures(np.array([], int), lambda: None).values()] == [0, 0, 0]


def test_a_job_that_is_ended_goes_on(copy, stored, monkeypatch):
    folder = copy("activations", "checkpoints", "dictionary.h5", "codes.h5", "results.h5", "magnitudes.h5")
    one = on(folder, "visualise.steps=3", "machine.batch=5")
    monkeypatch.setattr(signals, "wished", lambda: True)
    with pytest.raises(Stopped):
        visualise.run(one)
    assert not list(folder.glob(".visualise.pieces/*"))  # after the first step already
    monkeypatch.setattr(signals, "wished", lambda: any(folder.glob(".visualise.pieces/*")))
    with pytest.raises(Stopped):
        visualise.run(one)
    [piece] = folder.glob(".visualise.pieces/*")
    kept = piece.stat().st_mtime_ns
    monkeypatch.setattr(signals, "wished", lambda: piece.stat().st_mtime_ns != kept)  # it is taken, not made again
    visualise.run(one)
    assert not piece.parent.exists()
    found = datasets(one.visualisation)
    np.testing.assert_array_equal(found["concepts"], stored["concepts"])
    assert len(found["images"]) == len(stored["images"])


def test_a_mean_colour_keeps_its_hue(tmp_path):
    one, blue = on(tmp_path), torch.zeros(4, 3, 16, 16)
    blue[:, 2] = 1
    own = one.subject.preprocessing
    shown = SimpleNamespace(batches=lambda parts: [(own.normalised(blue[part]), None, None) for part in parts])
    one.subject = SimpleNamespace(preprocessing=own, ids=np.arange(4), loader=shown)
    expected = 16**2 * OPPONENT.numpy() @ [0, 0, 1]
    assert expected.min() < 0
    np.testing.assert_allclose(magnitudes.of(one, 16)[:, 0, 0], expected, rtol=1e-5)


def test_the_spectrum_is_the_mean_of_numpy_s(copy):
    """Of every third image or so, and found again in the folder."""
    one = on(copy(), "visualise.images=150")
    found = magnitudes.of(one, 16).numpy()
    ids = one.subject.ids[np.unique(np.linspace(0, 399, 150).astype(int))]
    shown = torch.cat([images for images, _, _ in one.subject.loader.batches([ids])]).double().numpy() * 0.5 + 0.5
    assert np.abs(shown[:, 0] - shown[:, 2]).max() == 0
    assert shown.mean() == pytest.approx(load_digits().images.mean() / 16, abs=0.02)
    waves = np.fft.fft2(np.einsum("oc,nchw->nohw", OPPONENT.double(), shown))
    expected = np.abs(waves).mean(0)
    expected[:, 0, 0] = waves[:, :, 0, 0].real.mean(0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    kept = (one.folder / "magnitudes.h5").stat().st_mtime_ns
    np.testing.assert_array_equal(magnitudes.of(one, 16), found)
    assert (one.folder / "magnitudes.h5").stat().st_mtime_ns == kept
    assert magnitudes.of(one, 12).shape == (3, 12, 12)  # another size replaces it
    with h5py.File(one.folder / "magnitudes.h5") as file:
        assert file.attrs["filetype"] == "vinfo-magnitudes"
        assert file["magnitudes"].shape == (3, 12, 12)


@pytest.mark.parametrize("source, method", [("logits", "fourier"), ("pca", "maco")])
def test_other_sources_and_another_size(copy, source, method):
    options = f"visualise={{concepts: [1, 4], size: 24, steps: 60, method: {method}}}"
    one = on(copy("activations", "checkpoints"), f"dictionary.source={source}", options)
    dictionary.run(one)
    encode.run(one)
    score.run(one)
    visualise.run(one)
    found = datasets(one.visualisation)
    with h5py.File(one.visualisation) as file:
        assert file.attrs["method"] == method
    assert found["images"].shape == (2, 24, 24, 3)
    assert found["concepts"].tolist() == [1, 4]
    assert (found["activations"] > found["reference"]).all()


def test_the_objective_without_active_constraints_is_the_code():
    """Orthogonal atoms need no constraint where the products are positive; other vectors of the same code count less."""
    random = np.random.default_rng(0)
    atoms = np.linalg.qr(random.random((6, 6)))[0][:3]
    atoms *= np.sign(atoms.sum(1, keepdims=True))
    codes = random.random((4, 2, 3))
    vectors, concepts = codes @ atoms, np.array([0, 2, 1, 0])
    encoder = encoders.NonNegative(torch.from_numpy(atoms), schema.Encode(tolerance=1e-10))
    own = codes[np.arange(4), :, concepts]
    cosine = own / np.linalg.norm(vectors, axis=2)
    found = encoder.objective({"map": torch.from_numpy(vectors)}, torch.from_numpy(concepts))
    # The ridge is a tenth of the mean eigenvalue, which is 1/2: three atoms in six dimensions.
    np.testing.assert_allclose(found, (own / 1.05 * cosine.clip(0.1) ** 2).mean(1), rtol=1e-6)
    encoded = encoder.encode({"map": torch.from_numpy(vectors)}).codes
    np.testing.assert_allclose(encoded, codes, atol=1e-6)


def test_what_cannot_be_drawn_is_refused(run):
    with pytest.raises(NotApplicable, match="codes rise; those of"):
        visualise.run(on(run[0], "dictionary.source=factors"))
    with pytest.raises(InputError, match="names concept 40, but there are 40, from 0 to 39"):
        visualise.run(on(run[0], "visualise.concepts=[3, 40]"))


@pytest.mark.parametrize(
    "setting, sentence",
    [
        ("visualise.size=0", "'visualise.size' is 0: input should be greater than or equal to 8"),
        ("visualise.steps=0", "'visualise.steps' is 0: input should be greater than or equal to 1"),
        ("visualise.concepts=[-1]", "greater than or equal to 0"),
        ("visualise.concepts=[]", "visualise.concepts, .extremes and .per_decile choose no concept"),
        ("visualise={extremes: 0, per_decile: 0}", "choose no concept"),
        ("visualise.method=deep", "'visualise.method' is 'deep': input should be 'auto', 'maco' or 'fourier'"),
        ("visualise.concept=all", "unknown key 'visualise.concept'; did you mean 'concepts'"),
        ("pages=[visualize]", "'visualise' or 'report'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(setting, sentence):
    with pytest.raises(InputError) as refused:
        load_config(ROOT / "config/quickstart.yaml", [setting])
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)
