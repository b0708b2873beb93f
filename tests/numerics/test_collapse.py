"""Neural collapse against plain numpy."""

import numpy as np
import pytest
import torch
from neural_collapse import directly

from vinfo_mpi.numerics import collapse
from vinfo_mpi.numerics.collapse import Centres, Scatter


def scatter_of(x, labels, fold, classes, batch=50):
    """Return the sums of all images, in batches."""
    centres = Centres(classes, fold.max() + 1, x.shape[1])
    arrays = [torch.from_numpy(array).split(batch) for array in (x, labels, fold)]
    for block in zip(*arrays, strict=True):
        centres.add(*block)
    scatter = Scatter(centres)
    for block, labels_of_block, fold_of_block in zip(*arrays, strict=True):
        parts = [torch.nonzero(fold_of_block == f)[:, 0] for f in range(fold.max() + 1)]
        scatter.add(block, labels_of_block, parts)
    return scatter


@pytest.mark.parametrize(("classes", "d"), [(4, 9), (7, 3), (2, 5)])
def test_everything_equals_the_definitions(classes, d):
    """With all images and without a fold; more classes than dimensions; classes without images."""
    random = np.random.default_rng(classes)
    labels = random.integers(0, classes, 170)
    labels[labels == 1] = 0 if classes > 2 else 1
    tight = 1e-3 if classes == 4 else 1.0  # far from 0 and tight: what one pass would lose
    x = random.normal(size=(classes, d))[labels] + tight * random.normal(size=(170, d)) + 1e3
    weight = random.normal(size=(classes, d))
    fold = random.integers(0, 3, 170)
    scatter = scatter_of(x, labels, fold, classes)
    for left_out in (None, 0, 2):
        rest = fold != left_out if left_out is not None else np.ones(170, bool)
        measured = collapse.measure(scatter.without(left_out), torch.from_numpy(weight))
        expected = directly(x[rest], labels[rest], weight)
        assert measured == pytest.approx(expected, rel=1e-8)


def test_a_simplex_of_points_has_collapsed():
    classes = 5
    corners = np.eye(classes) - 1 / classes
    labels = np.arange(40) % classes
    x = 3 * corners[labels] @ np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0] + 7
    scatter = scatter_of(x, labels, np.zeros(40, int), classes)
    weight = scatter.means - scatter.means.mean(0)
    measured = collapse.measure(scatter.without(None), weight)
    assert measured == pytest.approx(dict.fromkeys(measured, 0.0), abs=1e-12)
    there = torch.ones(classes, dtype=torch.bool)
    assert (collapse.nearest(torch.from_numpy(x), scatter.means, there).numpy() == labels).all()


def test_without_a_linear_head_there_is_no_third():
    scatter = scatter_of(np.random.default_rng(0).normal(size=(9, 2)), np.arange(9) % 3,
                         np.zeros(9, int), 3)  # fmt: skip
    assert np.isnan(collapse.measure(scatter.without(None), None)["nc3"])


def test_a_class_without_images_is_nearest_to_none():
    means = torch.tensor([[0.0], [5.0], [9.0]], dtype=torch.float64)
    there = torch.tensor([False, True, True])
    x = torch.tensor([[1.0], [8.0]], dtype=torch.float64)
    assert collapse.nearest(x, means, there).tolist() == [1, 2]
