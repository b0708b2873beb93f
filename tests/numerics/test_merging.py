"""Merging of channels, against a loop that computes every distance from the weights again."""

import numpy as np
import pytest

from vinfo_mpi.numerics import merging


def weights(d, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(d, 7)), rng.normal(size=(d, 5))


def grams(incoming, outgoing):
    return incoming @ incoming.T, outgoing @ outgoing.T


def naive(incoming, outgoing, added, threshold):
    """Return the sets of merged channels: all distances anew for every pair of rows."""
    rows = [*incoming]
    columns = [*outgoing]
    members = [[channel] for channel in range(len(rows))]
    while len(rows) > 1:
        pairs = [(a, b) for a in range(len(rows)) for b in range(a + 1, len(rows))]
        distances = [
            ((rows[a] - rows[b]) ** 2).sum() + ((columns[a] - columns[b]) ** 2).sum()
            for a, b in pairs
        ]
        if min(distances) > threshold * max(distances):
            break
        a, b = pairs[int(np.argmin(distances))]
        sizes = len(members[a]), len(members[b])
        mean = np.average([rows[a], rows[b]], axis=0, weights=sizes)
        rows[a] = rows[a] + rows[b] if added else mean
        columns[a] = np.average([columns[a], columns[b]], axis=0, weights=sizes)
        members[a] = members[a] + members[b]
        del rows[b], columns[b], members[b]
    return {frozenset(each) for each in members}


def sets(labels):
    return {frozenset(np.flatnonzero(labels == label)) for label in np.unique(labels)}


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("d", [1, 2, 12])
@pytest.mark.parametrize("added", [False, True])
def test_the_same_merges_as_a_loop_over_all_pairs(d, added, threshold):
    for seed in range(3):
        given = weights(d, seed)
        merges = merging.merge(*grams(*given), added)
        assert sets(merges.labels(threshold)) == naive(*given, added, threshold)


def test_thresholds_at_the_ends():
    incoming, outgoing = weights(9)
    incoming[[5, 7]] = incoming[2]
    outgoing[[5, 7]] = outgoing[2]
    merges = merging.merge(*grams(incoming, outgoing))
    np.testing.assert_array_equal(merges.labels(0), [0, 1, 2, 3, 4, 2, 5, 2, 6])
    np.testing.assert_array_equal(merges.labels(1), np.zeros(9))
    without_copies = merging.merge(*grams(*weights(9)))
    np.testing.assert_array_equal(without_copies.labels(0), range(9))


def test_a_permutation_of_the_channels_permutes_the_merges():
    incoming, outgoing = weights(15)
    order = np.random.default_rng(1).permutation(15)
    merges = merging.merge(*grams(incoming, outgoing))
    permuted = merging.merge(*grams(incoming[order], outgoing[order]))
    np.testing.assert_allclose(permuted.ratios, merges.ratios, rtol=1e-9)
    expected = sets(merges.labels(0.5))
    assert 1 < len(expected) < 15
    assert {frozenset(order[[*each]]) for each in sets(permuted.labels(0.5))} == expected


def test_sums_part_a_third_copy_from_two():
    same = np.ones((3, 4))
    merges = merging.merge(*grams(same, same), added=True)
    np.testing.assert_array_equal(merges.labels(0), [0, 0, 1])


def test_ties_go_to_the_first_pair():
    same = np.ones((4, 4))
    np.testing.assert_array_equal(merging.merge(same, same).pairs, [[0, 1], [0, 2], [0, 3]])
