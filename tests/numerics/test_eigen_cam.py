"""Eigen-CAM against numpy's singular vectors, image by image."""

import numpy as np
import pytest
import torch

from vinfo_mpi.numerics.eigen_cam import correlations, eigen_cam


def maps_of(positions, width, signed=True):
    draw = np.random.default_rng(positions)
    maps = draw.standard_normal((5, positions, width)) + 0.3
    return maps if signed else maps.clip(min=0)


def by_svd(vectors):
    """Return the projection of (P, d) vectors on their first right singular vector."""
    _, _, right = np.linalg.svd(vectors, full_matrices=False)
    projection = vectors @ right[0]
    return projection * (1 if projection.sum() >= 0 else -1)


@pytest.mark.parametrize(("positions", "width"), [(4, 9), (9, 4), (6, 6), (1, 3)])
def test_projects_on_the_first_singular_vector(positions, width):
    maps = maps_of(positions, width)
    projections = eigen_cam(torch.from_numpy(maps)).numpy()
    np.testing.assert_allclose(projections, [by_svd(each) for each in maps], rtol=0, atol=1e-10)


@pytest.mark.parametrize(("positions", "width"), [(4, 9), (9, 4)])
def test_follows_positions_and_does_not_see_a_rotation_of_channels(positions, width):
    maps = maps_of(positions, width)
    draw = np.random.default_rng(1)
    order = draw.permutation(positions)
    rotation, _ = np.linalg.qr(draw.standard_normal((width, width)))
    moved = eigen_cam(torch.from_numpy(maps[:, order] @ rotation))
    expected = eigen_cam(torch.from_numpy(maps))[:, order]
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-10)


def test_is_nowhere_negative_where_activations_are_not():
    assert eigen_cam(torch.from_numpy(maps_of(9, 4, signed=False))).min() >= -1e-12


def test_of_rank_one_is_the_map():
    where = np.array([0.0, 2.0, 1.0])
    direction = np.array([0.6, -0.8])
    maps = torch.from_numpy(np.outer(where, direction)[None])
    np.testing.assert_allclose(eigen_cam(maps)[0], where, atol=1e-12)


@pytest.mark.parametrize(("positions", "width"), [(4, 9), (9, 4)])
def test_of_nothing_is_nothing(positions, width):
    assert (eigen_cam(torch.zeros(2, positions, width)) == 0).all()


def test_correlations_are_those_of_numpy_over_the_positions_that_count():
    draw = np.random.default_rng(2)
    x, y = draw.random((2, 3, 4, 9))
    pairs = zip(x.reshape(-1, 9), y.reshape(-1, 9), strict=True)
    expected = [np.corrcoef(*pair)[0, 1] for pair in pairs]
    np.testing.assert_allclose(correlations(x, y).ravel(), expected, atol=1e-12)
    x[:, :, [2, 5]] = y[:, :, [2, 5]] = np.nan
    there = [0, 1, 3, 4, 6, 7, 8]
    some = correlations(x[:, :, there], y[:, :, there])
    np.testing.assert_allclose(correlations(x, y), some, atol=1e-12)
    y[0, 0, there] = 0.1
    assert np.isnan(correlations(x, y)[0, 0]) and np.isfinite(correlations(x, y)[1:]).all()
