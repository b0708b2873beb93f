import sys
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.manifold import trustworthiness
from threadpoolctl import threadpool_info, threadpool_limits

from vinfo_mpi.numerics import embedding
from vinfo_mpi.numerics.embedding import plane


def atoms(count=60, d=12, seed=0):
    random = np.random.default_rng(seed)
    near = random.gamma(0.5, size=(5, d))[np.arange(count) % 5]
    return (near + 0.1 * random.random((count, d))) * random.uniform(0.1, 10, (count, 1))


def test_atoms_of_similar_directions_lie_near_each_other():
    x = atoms()
    points = plane(x)
    assert points.shape == (60, 2) and points.dtype == np.float64
    assert trustworthiness(x / np.linalg.norm(x, axis=1, keepdims=True), points) > 0.9
    distances = np.linalg.norm(points[:, None] - points, axis=-1) + np.diag(np.full(60, np.inf))
    assert (distances.argmin(1) % 5 == np.arange(60) % 5).all()


def test_the_map_does_not_depend_on_the_threads_of_the_machine(monkeypatch):
    threads = []

    def method(directions, seed):
        threads.extend(library["num_threads"] for library in threadpool_info())
        return directions[:, :2]

    monkeypatch.setitem(embedding.METHODS, "tsne", method)
    with threadpool_limits(4):
        plane(atoms())
    assert set(threads) == {1}


def test_the_map_follows_from_the_seed():
    first = plane(np.ones((9, 1)), seed=3)
    assert (first == plane(np.ones((9, 1)), seed=3)).all()
    assert (first != plane(np.ones((9, 1)), seed=4)).any()


@pytest.mark.parametrize(
    "x", [np.ones((8, 3)), np.ones((9, 1)), np.eye(4), np.repeat(np.eye(5)[:2], 4, axis=0)]
)
def test_there_is_a_map_of_few_and_of_equal_atoms(x):
    assert np.isfinite(plane(x)).all()


def test_a_handful_of_atoms_has_no_map():
    assert plane(np.eye(3)).tolist() == [[0, 0]] * 3


def test_umap_is_made_of_directions(monkeypatch):
    class Umap:
        def __init__(self, **options):
            self.options = options

        def fit_transform(self, x):
            np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1)
            value = self.options["n_neighbors"] + 100 * self.options["random_state"]
            return np.full((len(x), 2), value, np.float32)

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=Umap))
    assert plane(atoms(), "umap", 2).tolist() == [[215, 215]] * 60
    assert plane(atoms(6), "umap").tolist() == [[5, 5]] * 6


def test_umap_that_is_not_installed_is_an_import_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError):
        plane(atoms(), "umap")
