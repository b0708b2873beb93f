"""Classes told from bits: against scipy's Hamming distances and codes that tell all, or nothing."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from vinfo_mpi.numerics.categorisation import right


@pytest.fixture(scope="module")
def coded():
    random = np.random.default_rng(1)
    labels = np.arange(200) % 4
    prototypes = random.random((4, 60)) < 0.5
    bits = prototypes[labels] ^ (random.random((200, 60)) < 0.25)
    bits[:, 7] = True
    return bits, labels, random.random(200) < 0.25


def test_neighbours_are_those_of_the_hamming_distance(coded):
    bits, labels, judged = coded
    distances = cdist(bits[judged], bits[~judged], "hamming")
    nearest = labels[~judged][np.argsort(distances, axis=1, kind="stable")[:, :9]]
    votes = (nearest[:, :, None] == np.arange(4)).sum(1)
    predicted = votes.argmax(1)
    told = right(bits, labels, judged, seed=0)["knn"]
    clear = np.array([  # where no tie decides
        distance[8] < distance[9] for distance in np.sort(distances, axis=1)
    ])  # fmt: skip
    assert clear.sum() > 10
    np.testing.assert_array_equal(told[clear], (predicted == labels[judged])[clear])


def test_all_methods_tell_prototypes_apart_and_none_tells_what_is_not_there(coded):
    bits, labels, judged = coded
    prototypes = np.random.default_rng(2).random((4, 60)) < 0.5
    for method, told in right(prototypes[labels], labels, judged, seed=0).items():
        assert told.shape == (judged.sum(),)
        assert told.all() or method == "kmeans"  # which may start with two centres in a cluster
    for told in right(np.ones_like(bits), labels, judged, seed=0).values():
        assert 0 < told.mean() < 0.5  # one class for all
    noise = np.random.default_rng(3).random(bits.shape) < 0.5
    for told in right(noise, labels, judged, seed=0).values():
        assert told.mean() < 0.6


def test_bits_that_never_change_and_flipped_bits_change_nothing(coded):
    bits, labels, judged = coded
    plain = right(bits, labels, judged, seed=0)
    without = right(np.delete(bits, 7, axis=1), labels, judged, seed=0)
    flipped = right(~bits, labels, judged, seed=0)
    np.testing.assert_array_equal(plain["kmeans"], without["kmeans"])
    np.testing.assert_array_equal(plain["logistic"], without["logistic"])
    np.testing.assert_array_equal(plain["knn"], flipped["knn"])
