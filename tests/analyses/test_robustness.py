"""Robustness, from the images: one at a time through the network, and non-negative least squares by scipy."""

import numpy as np
import pytest
import torch
from contents import datasets
from scipy.optimize import nnls
from small_run import on

from vinfo_mpi.analyses import robustness
from vinfo_mpi.concepts.new_images import Coder
from vinfo_mpi.errors import NotApplicable, Stopped
from vinfo_mpi.networks.positions import kept_positions
from vinfo_mpi.numerics import noise
from vinfo_mpi.parallel import signals
from vinfo_mpi.stages import dictionary, encode

SIGMAS, DRAWS = (0.05, 0.5), 3
ROWS = np.linspace(0, 399, 20).astype(int)


def shown(one, ids):
    """Return images with values in [0, 1]."""
    images, _, _ = next(one.subject.loader.batches([ids]))
    return images * 0.5 + 0.5


def last_map(network, image):
    """Return the output of the last block for one image: (P, d)."""
    seen = []
    hook = network.layer4[-1].register_forward_hook(lambda module, inputs, output: seen.append(output[0].clone()))
    with torch.no_grad():
        network((image[None] - 0.5) / 0.5)
    hook.remove()
    return seen[0].flatten(1).T.double().numpy()


def code(atoms, rows):
    return np.mean([nnls(atoms.T, row)[0] for row in rows], axis=0)


@pytest.fixture(scope="module")
def plain(run):
    """Relative variance of every image, size of noise and concept, by loops."""
    one, atoms = on(run[0]), datasets(run[0] / "dictionary.h5")["atoms"]
    network, ids = one.subject.network(one.final), datasets(run[0] / "codes.h5")["samples/id"][ROWS]
    found = []
    for number, image in zip(ids, shown(one, ids), strict=True):
        for level, sigma in enumerate(SIGMAS):
            drawn = [noise.normal(0, np.array([[number, level, draw]]), image.shape)[0] for draw in range(DRAWS)]
            found.append(np.var([code(atoms, last_map(network, image + sigma * torch.from_numpy(n))) for n in drawn], 0, ddof=1))
    return np.reshape(found, (20, 2, -1)) / datasets(run[0] / "codes.h5")["codes"].var(0, ddof=1)


def test_variances_are_those_of_a_plain_loop(copy, plain, monkeypatch):
    """Also if the job is stopped and goes on."""
    one = on(copy("activations", "checkpoints", "dictionary.h5", "codes.h5", "results.h5"), "encode.tolerance=1e-9")
    monkeypatch.setattr(signals, "wished", lambda: True)
    with pytest.raises(Stopped):
        robustness.run(one)
    [piece] = one.folder.glob(".robustness.pieces/*")
    kept = piece.stat().st_mtime_ns
    monkeypatch.setattr(signals, "wished", lambda: piece.stat().st_mtime_ns != kept)  # it is taken, not made again
    robustness.run(one)
    results = datasets(one.results)
    assert not piece.parent.exists()
    np.testing.assert_allclose(results["robustness/sigmas"], SIGMAS)
    np.testing.assert_allclose(results["robustness/variance"], plain.mean(0), rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(results["robustness/variance_se"], plain.std(0, ddof=1) / np.sqrt(20), rtol=1e-4, atol=1e-8)
    together = plain.mean(1)
    np.testing.assert_allclose(results["concepts/noise_variance"], together.mean(0), rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(results["concepts/noise_variance_se"], together.std(0, ddof=1) / np.sqrt(20), rtol=1e-4, atol=1e-8)


def test_the_tolerance_of_the_codes_matters_little(run, plain):
    found = datasets(run[0] / "results.h5")["robustness/variance"]
    np.testing.assert_allclose(found, plain.mean(0), rtol=0.1, atol=1e-3)
    assert (found[1] > found[0]).all()


@pytest.mark.parametrize("positions", ["all", 2])
def test_without_noise_codes_are_those_of_the_positions_that_are_kept(run, positions):
    one = on(run[0], f"extract.positions={positions}", "encode.tolerance=1e-9")
    stored, atoms = datasets(run[0] / "codes.h5"), datasets(run[0] / "dictionary.h5")["atoms"]
    coder, ids = Coder(one, "layer4.1"), stored["samples/id"][ROWS]
    found = coder.codes(shown(one, ids) * 2 - 1, ids).numpy()
    rows = kept_positions(one, ids, 4)
    maps = [last_map(coder.network, image)[row] for image, row in zip(shown(one, ids), rows, strict=True)]
    np.testing.assert_allclose(found, [code(atoms, one) for one in maps], atol=1e-4)
    if positions == "all":
        np.testing.assert_allclose(found, stored["codes"][ROWS], atol=1e-2)


@pytest.mark.parametrize("source", ["neurons", "logits"])
def test_without_noise_codes_of_other_sources_are_those_that_are_stored(copy, source):
    one = on(copy("activations", "checkpoints"), f"dictionary.source={source}")
    dictionary.run(one)
    encode.run(one)
    stored = datasets(one.codes)
    ids = stored["samples/id"][ROWS]
    found = Coder(one, "layer4.1").codes(shown(one, ids) * 2 - 1, ids)
    np.testing.assert_allclose(found, stored["codes"][ROWS], atol=1e-4)


def test_codes_that_the_network_does_not_give_are_refused(run):
    with pytest.raises(NotApplicable, match="factors know no noise"):
        robustness.run(on(run[0], "dictionary.source=factors"))
