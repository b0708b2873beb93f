"""Spectrum, from the stored activations and logits: singular value decomposition and projections of N × N."""

import h5py
import numpy as np
import pytest

from vinfo_mpi.numerics import folds


def basis(variables):
    """Return an orthonormal basis of the columns and the constant."""
    left, singular, _ = np.linalg.svd(np.column_stack([np.ones(len(variables)), variables]), full_matrices=False)
    return left[:, singular > 1e-6 * singular[0]]


def laziness(x, y):
    centring = np.eye(len(x)) - 1 / len(x)
    kernel, minimal = (centring @ part @ part.T @ centring for part in (x, basis(y)))
    return 1 - np.sum(kernel * minimal) / np.linalg.norm(kernel) / np.linalg.norm(minimal)


def effective_dimension(x):
    p = np.square(np.linalg.svd(x, compute_uv=False))
    p = p[p > 0] / p.sum()
    return np.exp(-np.sum(p * np.log(p)))


@pytest.mark.parametrize(("epoch", "tap"), [(0, "layer4.1"), (2, "layer4.1"), (2, "layer2.0")])
def test_everything_equals_the_raw_arrays(results, stored, epoch, tap):
    order = [name.decode() for name in results["spectrum/taps"]].index(tap)
    found = {name.removeprefix("spectrum/"): part[epoch, order] for name, part in results.items()
             if name.startswith("spectrum/") and part.ndim > 1}  # fmt: skip
    values = stored[epoch]
    x = values[f"taps/{tap}/activations"].astype(float) + values[f"taps/{tap}/shift"]
    y, targets = values["outputs"].astype(float), np.eye(10)[values["samples/label"]]
    functions, singular, _ = np.linalg.svd(x / np.sqrt(len(x)), full_matrices=False)
    r = np.isfinite(found["eigenvalues"]).sum()
    np.testing.assert_allclose(found["eigenvalues"][:r], singular[:r] ** 2, rtol=1e-6)
    for name, span in (("quality", targets), ("utilisation", y)):
        expected = np.square(basis(span).T @ functions).sum(0)[:r]
        np.testing.assert_allclose(found[name][:r], expected, atol=1e-5)
        np.testing.assert_allclose(found[f"cumulated_{name}"][:r], np.cumsum(expected) / 10, atol=1e-5)
    used = np.cumsum(found["utilisation"][:r])
    assert found["significant"] == np.flatnonzero(used >= 0.9 * used[-1])[0] + 1
    assert found["minimal"] == (found["significant"] <= 11)
    assert found["effective_dimension"] == pytest.approx(effective_dimension(x), rel=1e-6)
    assert found["laziness"] == pytest.approx(laziness(x, y), abs=1e-6)


def test_standard_errors_are_those_of_leaving_out_every_fifth_of_the_images(results, stored):
    values = stored[2]
    x, y = values["taps/layer4.1/activations"].astype(float) + values["taps/layer4.1/shift"], values["outputs"].astype(float)
    fold = folds.assign(values["samples/id"], values["samples/label"], 5)
    lazy, dimension = np.array([(laziness(x[fold != f], y[fold != f]), effective_dimension(x[fold != f])) for f in range(5)]).T
    for name, without in (("laziness", lazy), ("effective_dimension", dimension)):
        expected = np.sqrt(4 / 5 * np.square(without - without.mean()).sum())
        assert results[f"spectrum/{name}_se"][2, -1] == pytest.approx(expected, rel=1e-4)


def test_narrower_taps_are_filled_up_with_nan(results, stored):
    widths = [stored[0][f"taps/{name.decode()}/activations"].shape[1] for name in results["spectrum/taps"]]
    for name in ("eigenvalues", "quality", "cumulated_utilisation"):
        counts = np.isfinite(results[f"spectrum/{name}"]).sum(-1)
        assert results[f"spectrum/{name}"].shape == (3, 8, counts.max())
        assert (counts <= widths).all()
    assert (results["spectrum/eigenvalues"][..., 0] > 0).all()


def test_axes_are_numbered(run):
    with h5py.File(run[0] / "results.h5") as file:
        for name in ("laziness", "quality"):
            assert [axis[0].name for axis in list(file[f"spectrum/{name}"].dims)[:2]] == ["/spectrum/checkpoints", "/spectrum/taps"]
