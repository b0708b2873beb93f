"""Flow, from the stored activations by the definition of CKA."""

import h5py
import numpy as np
import pytest
from contents import SMALL, datasets


@pytest.fixture(scope="module")
def files(run):
    names = ("activations/epoch_002.h5", "codes.h5", "results.h5")
    return [datasets(run[0] / name) for name in names]


def similarity(x, z):
    """Return linear CKA by its definition on n × n matrices (Kornblith et al. 2019)."""
    centring = np.eye(len(x)) - 1 / len(x)
    of_x = centring @ x @ x.T @ centring
    of_z = centring @ np.outer(z, z) @ centring
    return (of_x * of_z).sum() / np.sqrt((of_x * of_x).sum() * (of_z * of_z).sum())


def test_cka_of_both_branches_is_that_of_the_definition(files):
    stored, codes, results = files
    blocks = [name.decode() for name in results["flow/blocks"]]
    assert blocks == [name.decode() for name in results["taps"]]
    for branch in ("main", "shortcut"):
        for block in (0, 2, 7):
            x = stored[f"taps/{blocks[block]}.{branch}/activations"].astype(float)
            for concept in (0, 17, 39):
                expected = similarity(x, codes["codes"][:, concept])
                assert results[f"flow/{branch}_cka"][block, concept] == pytest.approx(
                    expected, abs=1e-8
                )


def test_curves_are_means_over_the_simplest_and_the_most_complex_tenth(files):
    results = files[2]
    order = np.argsort(results["concepts/complexity"])
    for end, chosen in (("simple", order[:4]), ("complex", order[-4:])):
        values = results["flow/main_cka"][:, chosen]
        np.testing.assert_allclose(results[f"flow/{end}_main_cka"], values.mean(1))
        error = results[f"flow/{end}_main_cka_se"]
        # Four concepts, of fewer than five classes: n - 1 in the place of n, and a bootstrap.
        np.testing.assert_allclose(error, values.std(1) / 2, rtol=0.1)


def activations(stored, name):
    """Return what was stored of a tap or branch, with its shift."""
    return stored[f"taps/{name}/activations"] + stored[f"taps/{name}/shift"]


def test_the_branches_add_up_to_the_blocks(files):
    stored = files[0]
    for order, block in enumerate(["layer1.0", "layer2.0", "layer4.1"]):
        main = activations(stored, f"{block}.main")
        shortcut = activations(stored, f"{block}.shortcut")
        output = activations(stored, block)
        # The ReLU lies between: by Jensen the mean of the positive part is at least the positive
        # part of the mean.
        assert (output >= np.maximum(main + shortcut, 0) - 1e-5).all(), order
        assert (output - (main + shortcut)).std() > 0


def test_axes_are_numbered(run):
    with h5py.File(run[0] / "results.h5") as file:
        assert file["flow/main_cka"].dims[0][0].name == "/flow/blocks"
        assert file["flow/main_cka"].dims[1][0].name == "/concepts/index"


def test_a_network_without_residual_blocks_is_refused(copy, python):
    folder = copy("config.yaml", "checkpoints")
    done = python(
        "-m",
        "vinfo_mpi.analyses.flow",
        *SMALL,
        "--run-dir",
        folder,
        "--set",
        "extract.branches=false",
    )
    assert done.returncode == 2
    assert "vinfo_mpi: flow needs residual blocks" in done.stderr
