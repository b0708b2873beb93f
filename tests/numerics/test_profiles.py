import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import cophenet, dendrogram, is_valid_linkage
from scipy.spatial.distance import squareform
from sklearn.cluster import AgglomerativeClustering

from vinfo_mpi.numerics.profiles import Profiles, leaves, tree

C = 8
K = 6
N = 100
BLANK = 5  # the class without images


def data(seed=0):
    random = np.random.default_rng(seed)
    labels = random.choice([label for label in range(C) if label != BLANK], N)
    return random.gamma(0.5, size=(N, K)) * (1 + labels[:, None] % 3), labels


def profiles_of(codes, labels):
    profiles = Profiles(C, K)
    profiles.add(torch.from_numpy(codes), torch.from_numpy(labels))
    return profiles


def test_means_equal_pandas():
    codes, labels = data()
    expected = pd.DataFrame(codes).groupby(labels).mean().reindex(range(C))
    np.testing.assert_allclose(profiles_of(codes, labels).means(), expected, rtol=1e-12)
    assert np.isnan(profiles_of(codes, labels).means()[BLANK]).all()


@given(st.integers(0, 100), st.integers(0, N))
def test_profiles_of_batches_and_ranks_add_up(seed, cut):
    codes, labels = data(seed)
    whole = profiles_of(codes, labels)
    batches = profiles_of(codes[:cut], labels[:cut])
    batches.add(torch.from_numpy(codes[cut:]), torch.from_numpy(labels[cut:]))
    elsewhere = profiles_of(codes[cut:], labels[cut:])
    ranks = profiles_of(codes[:cut], labels[:cut]).reduced(lambda sums: sums.add_(elsewhere.sums))
    for profiles in (ranks, batches):
        np.testing.assert_allclose(profiles.means(), whole.means(), rtol=1e-12)


def test_codes_in_float32_are_summed_in_float64():
    codes = torch.full((3000, K), 0.1)
    profiles = Profiles(C, K)
    profiles.add(codes, torch.zeros(3000, dtype=torch.int64))
    np.testing.assert_allclose(profiles.means()[0], float(codes[0, 0]), rtol=1e-12)


def test_super_classes_weigh_every_image_the_same():
    codes, labels = data()
    groups = np.array([0, 1, 1, 0, 1, 2, 4, 4])  # 2 has no images, 3 no class
    expected = pd.DataFrame(codes).groupby(groups[labels]).mean().reindex(range(5))
    merged = profiles_of(codes, labels).merged(groups)
    np.testing.assert_allclose(merged.means(), expected, rtol=1e-12)
    assert is_valid_linkage(tree(merged.means()))


@pytest.mark.parametrize("seed", range(3))
def test_the_tree_equals_that_of_scikit_learn(seed):
    means = np.random.default_rng(seed).gamma(0.5, size=(30, K))
    model = AgglomerativeClustering(
        None, metric="cosine", linkage="average", distance_threshold=0, compute_distances=True
    )
    merges = tree(means)
    np.testing.assert_allclose(merges[:, 2], model.fit(means).distances_, atol=1e-12)
    assert (np.sort(merges[:, :2], axis=1) == np.sort(model.children_, axis=1)).all()


@pytest.mark.filterwarnings("error")
def test_classes_without_a_profile_are_at_distance_1_from_all():
    means = np.zeros((6, 4))
    means[[0, 1, 2, 3]] = [[1, 0, 0, 0], [2, 0, 0, 0], [3, 4, 0, 0], [np.nan] * 4]
    merges = tree(means)
    assert is_valid_linkage(merges)
    distances = squareform(cophenet(merges))
    np.testing.assert_allclose(distances[3:][:, :3], 1)
    np.testing.assert_allclose(distances[3:, 3:], 1 - np.eye(3))
    assert distances[0, 1] == 0
    assert distances[0, 2] == pytest.approx(0.4)


@given(st.integers(0, 1000))
def test_classes_that_are_alike_are_at_distance_0(seed):
    profile = np.random.default_rng(seed).gamma(0.5, size=K)
    merges = tree(np.outer([0.1, 0.7, 3.0, 11.0], profile))
    assert is_valid_linkage(merges)  # among others, that no distance is below 0
    np.testing.assert_allclose(merges[:, 2], 0, atol=1e-12)


def test_leaves_are_in_the_order_in_which_the_tree_is_drawn():
    merges = tree(np.random.default_rng(0).gamma(0.5, size=(30, K)))
    assert leaves(merges).tolist() == dendrogram(merges, no_plot=True)["leaves"]


def test_a_single_class_has_no_merges():
    assert tree(np.ones((1, K))).shape == (0, 4)
    assert leaves(tree(np.ones((1, K)))).tolist() == [0]
