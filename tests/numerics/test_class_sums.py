"""V-information within classes and by classes alone, against codes that are centred or permuted."""

import numpy as np
import torch

from vinfo_mpi.numerics import ridge
from vinfo_mpi.numerics.class_sums import ClassSums
from vinfo_mpi.numerics.moments import Moments

FOLDS = 5
RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 4, 300)
LABELS[LABELS == 1] = 5  # a class without images
X = RANDOM.normal(size=(300, 7)) + RANDOM.normal(size=(6, 7))[LABELS]
Z = np.maximum(0, X @ RANDOM.normal(size=(7, 9)) + RANDOM.normal(size=(300, 9)))
FOLD = np.arange(300) % FOLDS


def sums():
    one_hot = np.eye(6)[LABELS][:, :, None] * np.eye(FOLDS)[FOLD][:, None]
    x = np.einsum("icf,id->cfd", one_hot, X)
    z = np.einsum("icf,ik->kcf", one_hot, Z)
    moments = Moments(FOLDS, 7, 9)
    moments.add(torch.tensor(X), torch.tensor(Z), torch.tensor(FOLD))
    return ClassSums(*map(torch.tensor, (one_hot.sum(0), x, z))), moments


def scores(moments):
    squared = [
        ridge.errors(ridge.factorise(moments, fold), moments, fold, ridge.PENALTIES)
        for fold in range(FOLDS)
    ]
    return ridge.finish(torch.stack(squared), moments, ridge.PENALTIES)


def means(values):
    of_class = np.zeros((6, values.shape[1]))
    for label in np.unique(LABELS):
        of_class[label] = values[label == LABELS].mean(0)
    return of_class[LABELS]


def test_within_classes_is_what_centred_activations_and_codes_give():
    of_classes, moments = sums()
    expected = ridge.r2(X - means(X), Z - means(Z), FOLD)
    ours = scores(of_classes.within(moments))
    np.testing.assert_allclose(ours.r2, expected.r2, atol=1e-10)
    np.testing.assert_allclose(ours.without, expected.without, atol=1e-10)
    np.testing.assert_allclose(ours.variance, (Z - means(Z)).var(0), atol=1e-12)


def test_classes_alone_are_codes_permuted_within_them():
    of_classes, moments = sums()
    ours = scores(of_classes.alone(moments)).r2
    explained = means(Z).var(0) / Z.var(0) * ridge.r2(X, means(Z), FOLD).r2
    np.testing.assert_allclose(ours, explained, atol=1e-3)  # the penalty may be another one
    permuted = []
    for _ in range(20):
        order = np.arange(300)
        for label in np.unique(LABELS):
            members = np.flatnonzero(label == LABELS)
            order[members] = RANDOM.permutation(members)
        permuted.append(ridge.r2(X, Z[order], FOLD).r2)
    np.testing.assert_allclose(ours, np.mean(permuted, 0), atol=0.03)
