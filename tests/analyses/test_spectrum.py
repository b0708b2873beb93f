"""Spectrum, from the stored activations and logits.

By singular value decomposition and projections of N × N.
"""

import h5py
import numpy as np
import pytest

from vinfo_mpi.numerics import folds


def basis(variables):
    """Return an orthonormal basis of the columns and the constant."""
    left, singular, _ = np.linalg.svd(
        np.column_stack([np.ones(len(variables)), variables]), full_matrices=False
    )
    return left[:, singular > 1e-6 * singular[0]]


def laziness(x, y):
    centring = np.eye(len(x)) - 1 / len(x)
    kernel = centring @ x @ x.T @ centring
    minimal = centring @ basis(y) @ basis(y).T @ centring
    return 1 - np.sum(kernel * minimal) / np.linalg.norm(kernel) / np.linalg.norm(minimal)


def effective_dimension(x):
    p = np.square(np.linalg.svd(x, compute_uv=False))
    p = p[p > 0] / p.sum()
    return np.exp(-np.sum(p * np.log(p)))


def features(stored, tap):
    """Return the activations of a tap, with their shift."""
    return stored[f"taps/{tap}/activations"].astype(float) + stored[f"taps/{tap}/shift"]


@pytest.mark.parametrize(("epoch", "tap"), [(0, "layer4.1"), (2, "layer4.1"), (2, "layer2.0")])
def test_everything_equals_the_raw_arrays(results, stored, epoch, tap):
    order = [name.decode() for name in results["spectrum/taps"]].index(tap)
    spectrum = {
        name.removeprefix("spectrum/"): values[epoch, order]
        for name, values in results.items()
        if name.startswith("spectrum/") and values.ndim > 1
    }
    x = features(stored[epoch], tap)
    y = stored[epoch]["outputs"].astype(float)
    targets = np.eye(10)[stored[epoch]["samples/label"]]
    functions, singular, _ = np.linalg.svd(x / np.sqrt(len(x)), full_matrices=False)
    r = np.isfinite(spectrum["eigenvalues"]).sum()
    np.testing.assert_allclose(spectrum["eigenvalues"][:r], singular[:r] ** 2, rtol=1e-6)
    for name, span in (("quality", targets), ("utilisation", y)):
        expected = np.square(basis(span).T @ functions).sum(0)[:r]
        np.testing.assert_allclose(spectrum[name][:r], expected, atol=1e-5)
        np.testing.assert_allclose(
            spectrum[f"cumulated_{name}"][:r], np.cumsum(expected) / 10, atol=1e-5
        )
    used = np.cumsum(spectrum["utilisation"][:r])
    assert spectrum["significant"] == np.flatnonzero(used >= 0.9 * used[-1])[0] + 1
    assert spectrum["minimal"] == (spectrum["significant"] <= 11)
    assert spectrum["effective_dimension"] == pytest.approx(effective_dimension(x), rel=1e-6)
    assert spectrum["laziness"] == pytest.approx(laziness(x, y), abs=1e-6)


def test_standard_errors_are_those_of_leaving_out_every_fifth_of_the_images(results, stored):
    x = features(stored[2], "layer4.1")
    y = stored[2]["outputs"].astype(float)
    fold = folds.assign(stored[2]["samples/id"], stored[2]["samples/label"], 5)
    rests = [fold != number for number in range(5)]
    without = {
        "laziness": np.array([laziness(x[rest], y[rest]) for rest in rests]),
        "effective_dimension": np.array([effective_dimension(x[rest]) for rest in rests]),
    }
    for name, values in without.items():
        expected = np.sqrt(4 / 5 * np.square(values - values.mean()).sum())
        assert results[f"spectrum/{name}_se"][2, -1] == pytest.approx(expected, rel=1e-4)


def test_narrower_taps_are_filled_up_with_nan(results, stored):
    taps = [name.decode() for name in results["spectrum/taps"]]
    widths = [stored[0][f"taps/{tap}/activations"].shape[1] for tap in taps]
    for name in ("eigenvalues", "quality", "cumulated_utilisation"):
        counts = np.isfinite(results[f"spectrum/{name}"]).sum(-1)
        assert results[f"spectrum/{name}"].shape == (3, 8, counts.max())
        assert (counts <= widths).all()
    assert (results["spectrum/eigenvalues"][..., 0] > 0).all()


def test_axes_are_numbered(run):
    with h5py.File(run[0] / "results.h5") as file:
        for name in ("laziness", "quality"):
            scales = [axis[0].name for axis in list(file[f"spectrum/{name}"].dims)[:2]]
            assert scales == ["/spectrum/checkpoints", "/spectrum/taps"]
