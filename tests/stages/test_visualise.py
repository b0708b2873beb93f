"""Pictures of concepts: codes by scipy, their spectrum by numpy; other ranks draw the same."""

from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
from contents import ROOT, datasets
from scipy.optimize import nnls
from sklearn.datasets import load_digits
from small_run import on, run_stage

from vinfo_mpi.concepts import encoders
from vinfo_mpi.config import schema
from vinfo_mpi.config.load import load_config
from vinfo_mpi.errors import InputError, NotApplicable, Stopped
from vinfo_mpi.parallel import signals
from vinfo_mpi.stages import visualise
from vinfo_mpi.visualisation import magnitudes
from vinfo_mpi.visualisation.colours import OPPONENT
from vinfo_mpi.visualisation.painter import Painter


@pytest.fixture(scope="module")
def stored(run):
    return datasets(run[0] / "visualisation.h5")


def test_most_pictures_exceed_the_99th_percentile_of_real_images(run, stored):
    codes = datasets(run[0] / "codes.h5")["codes"][:, stored["concepts"]]
    np.testing.assert_allclose(stored["reference"], np.percentile(codes, 99, axis=0))
    assert (stored["activations"] > stored["reference"]).mean() >= 0.8
    above = (stored["activations"] > stored["reference"]).sum()
    assert f"{above} of {len(codes[0])} pictures (fourier) activate" in run[1].stderr


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
    small = on(run[0])
    atoms = datasets(run[0] / "dictionary.h5")["atoms"]
    network = small.subject.network(small.final)
    maps = []
    network.layer4[-1].register_forward_hook(
        lambda module, inputs, output: maps.append(output[0].clone())
    )
    pictures = zip(stored["concepts"], stored["images"], stored["activations"], strict=True)
    for concept, image, activation in pictures:
        with torch.no_grad():
            network((torch.from_numpy(image).permute(2, 0, 1)[None] / 255 - 0.5) / 0.5)
        rows = maps[-1].flatten(1).T.double().numpy()
        code = np.mean([nnls(atoms.T, row)[0][concept] for row in rows])
        assert activation == pytest.approx(code, abs=1e-2 * np.abs(rows).max())


def test_another_rank_draws_the_same(run, stored):
    """Alone, and with others: which concepts are drawn together does not matter."""
    painter = Painter(on(run[0]), "layer4.1")
    count = len(stored["concepts"])
    for rank, size in ((0, 1), (1, 3), (count - 1, count)):
        rows = np.arange(count)[rank::size]
        pictures = painter.draw(stored["concepts"][rows], lambda: None)
        for attempt in range(1, len(encoders.SHARPNESS)):
            missed = pictures["activations"] <= stored["reference"][rows]
            again = painter.draw(stored["concepts"][rows][missed], lambda: None, attempt)
            better = again["activations"] > pictures["activations"][missed]
            for name, values in pictures.items():
                values[np.flatnonzero(missed)[better]] = again[name][better]
        for name in ("images", "transparency"):
            drawn = pictures[name].astype(int)
            np.testing.assert_allclose(drawn, stored[name][rows], atol=1, err_msg=name)
        np.testing.assert_allclose(pictures["activations"], stored["activations"][rows], rtol=1e-2)
    none = painter.draw(np.array([], int), lambda: None)
    assert [len(values) for values in none.values()] == [0, 0, 0]


def test_a_job_that_is_ended_goes_on(copy, stored, monkeypatch):
    folder = copy(
        "activations", "checkpoints", "dictionary.h5", "codes.h5", "results.h5", "magnitudes.h5"
    )
    small = on(folder, "visualise.steps=3", "machine.batch=5")
    monkeypatch.setattr(signals, "wished", lambda: True)
    with pytest.raises(Stopped):
        run_stage(small, "visualise")
    assert not list(folder.glob(".visualise.pieces/*"))  # after the first step already
    monkeypatch.setattr(signals, "wished", lambda: any(folder.glob(".visualise.pieces/*")))
    with pytest.raises(Stopped):
        run_stage(small, "visualise")
    [piece] = folder.glob(".visualise.pieces/*")
    written = piece.stat().st_mtime_ns
    # It is taken, not made again.
    monkeypatch.setattr(signals, "wished", lambda: piece.stat().st_mtime_ns != written)
    run_stage(small, "visualise")
    assert not piece.parent.exists()
    pictures = datasets(small.visualisation)
    np.testing.assert_array_equal(pictures["concepts"], stored["concepts"])
    assert len(pictures["images"]) == len(stored["images"])


def test_a_mean_colour_keeps_its_hue(tmp_path):
    small = on(tmp_path)
    blue = torch.zeros(4, 3, 16, 16)
    blue[:, 2] = 1
    preprocessing = small.subject.preprocessing
    loader = SimpleNamespace(
        batches=lambda blocks: [
            (preprocessing.normalise(blue[block]), None, None) for block in blocks
        ]
    )
    small.subject = SimpleNamespace(preprocessing=preprocessing, ids=np.arange(4), loader=loader)
    expected = 16**2 * OPPONENT.numpy() @ [0, 0, 1]
    assert expected.min() < 0
    means = magnitudes.mean_magnitudes(small, 16)[:, 0, 0]
    np.testing.assert_allclose(means, expected, rtol=1e-5)


def test_the_spectrum_is_the_mean_of_numpy_s(copy):
    """Of every third image or so, and taken from the folder again."""
    small = on(copy(), "visualise.images=150")
    spectrum = magnitudes.mean_magnitudes(small, 16).numpy()
    ids = small.subject.ids[np.unique(np.linspace(0, 399, 150).astype(int))]
    inputs = torch.cat([images for images, _, _ in small.subject.loader.batches([ids])])
    images = inputs.double().numpy() * 0.5 + 0.5
    assert np.abs(images[:, 0] - images[:, 2]).max() == 0
    assert images.mean() == pytest.approx(load_digits().images.mean() / 16, abs=0.02)
    waves = np.fft.fft2(np.einsum("oc,nchw->nohw", OPPONENT.double(), images))
    expected = np.abs(waves).mean(0)
    expected[:, 0, 0] = waves[:, :, 0, 0].real.mean(0)
    np.testing.assert_allclose(spectrum, expected, rtol=1e-5, atol=1e-5)
    path = small.folder / "magnitudes.h5"
    written = path.stat().st_mtime_ns
    np.testing.assert_array_equal(magnitudes.mean_magnitudes(small, 16), spectrum)
    assert path.stat().st_mtime_ns == written
    assert magnitudes.mean_magnitudes(small, 12).shape == (3, 12, 12)  # another size replaces it
    with h5py.File(path) as file:
        assert file.attrs["filetype"] == "vinfo-magnitudes"
        assert file["magnitudes"].shape == (3, 12, 12)


@pytest.mark.parametrize("source, method", [("logits", "fourier"), ("pca", "maco")])
def test_other_sources_and_another_size(copy, source, method):
    options = f"visualise={{concepts: [1, 4], size: 24, steps: 150, method: {method}}}"
    small = on(copy("activations", "checkpoints"), f"dictionary.source={source}", options)
    for stage in ("dictionary", "encode", "score", "visualise"):
        run_stage(small, stage)
    pictures = datasets(small.visualisation)
    with h5py.File(small.visualisation) as file:
        assert file.attrs["method"] == method
    assert pictures["images"].shape == (2, 24, 24, 3)
    assert pictures["concepts"].tolist() == [1, 4]
    assert (pictures["activations"] > pictures["reference"]).all()


def test_the_objective_without_active_constraints_is_the_code():
    """Orthogonal atoms need no constraint where the products are positive.

    Other vectors of the same code count less.
    """
    random = np.random.default_rng(0)
    atoms = np.linalg.qr(random.random((6, 6)))[0][:3]
    atoms *= np.sign(atoms.sum(1, keepdims=True))
    codes = random.random((4, 2, 3))
    vectors = codes @ atoms
    concepts = np.array([0, 2, 1, 0])
    encoder = encoders.NonNegative(torch.from_numpy(atoms), schema.Encode(tolerance=1e-10))
    code = codes[np.arange(4), :, concepts]
    cosine = code / np.linalg.norm(vectors, axis=2)
    maps = {"map": torch.from_numpy(vectors)}
    for attempt, power in enumerate((2, 8, 0)):
        objective = encoder.objective(maps, torch.from_numpy(concepts), attempt)
        # The ridge is a tenth of the mean eigenvalue, which is 1/2: three atoms in six dimensions.
        expected = (code / 1.05 * cosine.clip(0.1) ** power).mean(1)
        np.testing.assert_allclose(objective, expected, rtol=1e-6)
    np.testing.assert_allclose(encoder.encode(maps).codes, codes, atol=1e-6)


def test_a_picture_that_misses_is_drawn_again_and_the_better_one_kept(monkeypatch):
    codes = np.array([[1.0, 0.2, 0.3], [1.0, 0.4, 1.3], [1.0, 0.1, 2.3]])  # attempts × concepts
    drawn = []

    def attempt(run, part, painter, kind, concepts, number):
        drawn.append(concepts.tolist())
        images = np.full(len(concepts), number)
        return {"activations": codes[number, concepts], "images": images}

    monkeypatch.setattr(visualise, "_attempt", attempt)
    part = SimpleNamespace(partial_results=SimpleNamespace(log_reused=lambda what: None))
    pictures = visualise._draw(None, part, None, "concepts", np.arange(3), np.full(3, 0.5))
    assert drawn == [[0, 1, 2], [1, 2], [1]]
    assert pictures["activations"].tolist() == [1.0, 0.4, 1.3]
    assert pictures["images"].tolist() == [0, 1, 1]


def test_what_cannot_be_drawn_is_refused(run):
    with pytest.raises(NotApplicable, match="codes rise; those of"):
        run_stage(on(run[0], "dictionary.source=factors"), "visualise")
    with pytest.raises(InputError, match="names concept 40, but there are 40, from 0 to 39"):
        run_stage(on(run[0], "visualise.concepts=[3, 40]"), "visualise")


@pytest.mark.parametrize(
    "setting, sentence",
    [
        ("visualise.size=0", "'visualise.size' is 0: input should be greater than or equal to 8"),
        ("visualise.steps=0", "'visualise.steps' is 0: input should be greater than or equal to 1"),
        ("visualise.concepts=[-1]", "greater than or equal to 0"),
        (
            "visualise.concepts=[]",
            "visualise.concepts, .extremes and .per_decile choose no concept",
        ),
        ("visualise={extremes: 0, per_decile: 0}", "choose no concept"),
        (
            "visualise.method=deep",
            "'visualise.method' is 'deep': input should be 'auto', 'maco' or 'fourier'",
        ),
        ("visualise.concept=all", "unknown key 'visualise.concept'; did you mean 'concepts'"),
        ("pages=[visualize]", "'visualise' or 'report'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(setting, sentence):
    with pytest.raises(InputError) as refused:
        load_config(ROOT / "config/quickstart.yaml", [setting])
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)
