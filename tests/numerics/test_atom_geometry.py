from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity

from vinfo_mpi.numerics.atom_geometry import match


def dictionary(k, d=7, seed=0):
    return np.random.default_rng(seed).gamma(0.5, size=(k, d))


def test_permuted_and_scaled_copies_match_perfectly():
    random = np.random.default_rng(0)
    atoms, group = dictionary(60), random.integers(0, 6, 60)
    others = np.empty_like(atoms)
    for label in range(6):
        rows = np.flatnonzero(group == label)
        others[rows] = atoms[random.permutation(rows)]
    np.testing.assert_allclose(match(atoms, others * random.uniform(0.1, 10, (60, 1)), group), 1)


@given(st.integers(1, 5), st.integers(0, 1000), st.booleans())
def test_the_sum_of_similarities_is_the_greatest_of_all_permutations(k, seed, signed):
    atoms, others = (dictionary(k, 4, [seed, fit]) - 0.5 * signed for fit in range(2))
    cosines = cosine_similarity(atoms, others)
    best = max(permutations(range(k)), key=lambda order: cosines[range(k), order].sum())
    np.testing.assert_allclose(match(atoms, others, np.zeros(k, int)), cosines[range(k), best], atol=1e-12)


def test_atoms_are_not_matched_across_groups():
    atoms = np.eye(4)
    crossed = atoms[[2, 3, 0, 1]]
    assert match(atoms, crossed, np.array([0, 0, 1, 1])).tolist() == [0, 0, 0, 0]
    assert match(atoms, crossed, np.array([7, -1, 7, -1])).tolist() == [1, 1, 1, 1]


@pytest.mark.filterwarnings("error")
def test_an_atom_of_zeros_is_similar_to_none():
    atoms, others = dictionary(4), dictionary(4)
    atoms[1], others[1] = 0, 0
    np.testing.assert_allclose(match(atoms, others, np.zeros(4, int)), [1, 0, 1, 1])
