"""Robustness, from the images: one at a time through the network, non-negative codes by scipy."""

import threading

import numpy as np
import pytest
import torch
from contents import datasets
from scipy.optimize import nnls
from small_run import on, run_stage

from vinfo_mpi.concepts.new_images import Coder
from vinfo_mpi.errors import NotApplicable, Stopped
from vinfo_mpi.networks.positions import kept_positions
from vinfo_mpi.numerics import noise
from vinfo_mpi.parallel import signals

SIGMAS = (0.05, 0.5)
DRAWS = 3
ROWS = np.linspace(0, 399, 20).astype(int)


def images_of(small, ids):
    """Return images with values in [0, 1]."""
    images, _, _ = next(small.subject.loader.batches([ids]))
    return images * 0.5 + 0.5


def last_map(network, image):
    """Return the output of the last block for one image: (P, d)."""
    maps = []
    hook = network.layer4[-1].register_forward_hook(
        lambda module, inputs, output: maps.append(output[0].clone())
    )
    with torch.no_grad():
        network((image[None] - 0.5) / 0.5)
    hook.remove()
    return maps[0].flatten(1).T.double().numpy()


def code(atoms, rows):
    return np.mean([nnls(atoms.T, row)[0] for row in rows], axis=0)


@pytest.fixture(scope="module")
def plain(run):
    """Relative variance, variance and range of images, sizes of noise and concepts, by loops."""
    small = on(run[0])
    atoms = datasets(run[0] / "dictionary.h5")["atoms"]
    stored = datasets(run[0] / "codes.h5")
    network = small.subject.network(small.final)
    ids = stored["samples/id"][ROWS]
    variances = []
    for number, image in zip(ids, images_of(small, ids), strict=True):
        for level, sigma in enumerate(SIGMAS):
            codes = []
            for draw in range(DRAWS):
                [drawn] = noise.normal(0, np.array([[number, level, draw]]), image.shape)
                noisy = image + sigma * torch.from_numpy(drawn)
                codes.append(code(atoms, last_map(network, noisy)))
            variances.append([np.var(codes, 0, ddof=1), np.ptp(codes, 0)])
    undivided, reach = np.reshape(variances, (20, 2, 2, -1)).transpose(2, 0, 1, 3)
    return undivided / stored["codes"].var(0, ddof=1), undivided, reach


def test_variances_are_those_of_a_plain_loop(copy, plain, monkeypatch):
    """Also if the job is stopped and goes on; noise is drawn while the network is busy."""
    drawn_by = []
    normal = noise.normal

    def draw(*arguments):
        drawn_by.append(threading.current_thread())
        return normal(*arguments)

    monkeypatch.setattr(noise, "normal", draw)
    small = on(
        copy("activations", "checkpoints", "dictionary.h5", "codes.h5", "results.h5"),
        "encode.tolerance=1e-9",
    )
    monkeypatch.setattr(signals, "wished", lambda: True)
    with pytest.raises(Stopped):
        run_stage(small, "robustness")
    [piece] = small.folder.glob(".robustness.pieces/*")
    written = piece.stat().st_mtime_ns
    # It is taken, not made again: that would stop the job once more.
    monkeypatch.setattr(signals, "wished", lambda: piece.stat().st_mtime_ns != written)
    run_stage(small, "robustness")
    results = datasets(small.results)
    assert not piece.parent.exists()
    assert drawn_by
    assert threading.main_thread() not in drawn_by
    np.testing.assert_allclose(results["robustness/sigmas"], SIGMAS)
    for name, expected in zip(("variance", "variance_undivided", "range"), plain, strict=True):
        for written, values in (
            (f"robustness/{name}", expected),
            (f"concepts/noise_{name}", expected.mean(1)),
        ):
            np.testing.assert_allclose(results[written], values.mean(0), rtol=1e-4, atol=1e-6)
            error = values.std(0, ddof=1) / np.sqrt(20)
            np.testing.assert_allclose(results[f"{written}_se"], error, rtol=1e-4, atol=1e-6)


def test_the_tolerance_of_the_codes_matters_little(run, plain):
    variance = datasets(run[0] / "results.h5")["robustness/variance"]
    np.testing.assert_allclose(variance, plain[0].mean(0), rtol=0.1, atol=1e-3)
    assert (variance[1] > variance[0]).all()


@pytest.mark.parametrize("positions", ["all", 2])
def test_without_noise_codes_are_those_of_the_positions_that_are_kept(run, positions):
    small = on(run[0], f"extract.positions={positions}", "encode.tolerance=1e-9")
    stored = datasets(run[0] / "codes.h5")
    atoms = datasets(run[0] / "dictionary.h5")["atoms"]
    ids = stored["samples/id"][ROWS]
    images = images_of(small, ids)
    coder = Coder(small, "layer4.1")
    codes = coder.codes(images * 2 - 1, ids).numpy()
    expected = []
    for image, rows in zip(images, kept_positions(small.config, ids, 4), strict=True):
        expected.append(code(atoms, last_map(coder.network, image)[rows]))
    np.testing.assert_allclose(codes, expected, atol=1e-4)
    if positions == "all":
        np.testing.assert_allclose(codes, stored["codes"][ROWS], atol=1e-2)


@pytest.mark.parametrize("source", ["neurons", "logits"])
def test_without_noise_codes_of_other_sources_are_those_that_are_stored(copy, source):
    small = on(copy("activations", "checkpoints"), f"dictionary.source={source}")
    run_stage(small, "dictionary")
    run_stage(small, "encode")
    stored = datasets(small.codes)
    ids = stored["samples/id"][ROWS]
    codes = Coder(small, "layer4.1").codes(images_of(small, ids) * 2 - 1, ids)
    np.testing.assert_allclose(codes, stored["codes"][ROWS], atol=1e-4)


def test_codes_that_the_network_does_not_give_are_refused(run):
    with pytest.raises(NotApplicable, match="factors do not depend on the pixels"):
        run_stage(on(run[0], "dictionary.source=factors"), "robustness")
