"""Pointwise gains are those of scikit-learn's ridge; what is kept does not depend on batches."""

import numpy as np
import torch
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from vinfo_mpi.numerics import pointwise, ridge
from vinfo_mpi.numerics.moments import Moments
from vinfo_mpi.numerics.pointwise import IMAGES, Hardest

FOLDS = 3


def data(n=90, d=4, concepts=3):
    random = np.random.default_rng(0)
    x = random.standard_normal((n, d)) * [1, 2, 5, 0.1] + 3
    z = np.maximum(0, x @ random.standard_normal((d, concepts)) + random.standard_normal(concepts))
    return x, z, np.arange(n) % FOLDS


def predicted(x, z, fold, penalty):
    moments = Moments(FOLDS, x.shape[1], z.shape[1])
    moments.add(*map(torch.from_numpy, (x, z, fold)))
    of_folds = [
        pointwise.predictors(ridge.factorise(moments, held_out), moments, held_out, penalty)
        for held_out in range(FOLDS)
    ]
    of_folds = torch.stack(of_folds)
    return pointwise.predicted(torch.from_numpy(x), torch.from_numpy(fold), of_folds).numpy()


def test_predictions_are_those_of_scikit_learn():
    x, z, fold = data()
    penalty = torch.tensor([1e-3, 0.1, 1.0], dtype=torch.float64)
    told = predicted(x, z, fold, penalty)
    for held_out in range(FOLDS):
        test = fold == held_out
        scaler = StandardScaler().fit(x[~test])
        learned = scaler.transform(x[~test])
        mean = np.linalg.eigvalsh(np.cov(learned.T, bias=True)).mean()
        for concept in range(3):
            alpha = len(learned) * penalty[concept].item() * mean
            model = Ridge(alpha=alpha).fit(learned, z[~test, concept])
            expected = model.predict(scaler.transform(x[test]))
            np.testing.assert_allclose(told[test, concept], expected, atol=1e-10)


def test_their_mean_is_the_v_information():
    x, z, fold = data()
    scores = ridge.r2(x, z, fold)
    told = predicted(x, z, fold, torch.from_numpy(scores.penalty))
    gains = (np.square(z - z.mean(0)) - np.square(z - told)) / z.var(0)
    np.testing.assert_allclose(gains.mean(0), scores.r2, atol=1e-10)


def test_the_least_gains_are_kept_whatever_the_batches_and_ranks():
    random = np.random.default_rng(0)
    gains = random.standard_normal((40, 3)).round(1)  # with equal ones
    codes = random.random((40, 3))
    order = gains.argsort(0, kind="stable")[:IMAGES]

    def kept(start, stop, size):
        hardest = Hardest.empty(3)
        for first in range(start, stop, size):
            rows = slice(first, min(first + size, stop))
            hardest.add(torch.from_numpy(gains[rows]), torch.from_numpy(codes[rows]), first)
        return hardest

    ranks = [kept(0, 17, 17), kept(17, 40, 4)]
    fields = ("gains", "codes", "rows")
    others = [getattr(ranks[1], name) for name in fields]
    joined = ranks[0].join(
        lambda values: torch.cat([values, others.pop(0)]), lambda below: below + ranks[1].below
    )
    for hardest in (kept(0, 40, 7), joined):
        np.testing.assert_array_equal(hardest.rows, order)
        np.testing.assert_array_equal(hardest.gains, np.take_along_axis(gains, order, 0))
        np.testing.assert_array_equal(hardest.codes, np.take_along_axis(codes, order, 0))
        np.testing.assert_array_equal(hardest.below, (gains < 0).sum(0))


def test_fewer_images_leave_room():
    hardest = Hardest.empty(1)
    hardest.add(torch.tensor([[0.5]], dtype=torch.float64), torch.ones(1, 1).double(), 0)
    assert hardest.rows[:, 0].tolist() == [0, -1, -1, -1, -1]
