from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import cosine_similarity

from vinfo_mpi.numerics import atom_geometry
from vinfo_mpi.numerics.atom_geometry import hoyer, match, nearest


def dictionary(k, d=7, seed=0):
    return np.random.default_rng(seed).gamma(0.5, size=(k, d))


def test_permuted_and_scaled_copies_match_perfectly():
    random = np.random.default_rng(0)
    atoms = dictionary(60)
    group = random.integers(0, 6, 60)
    others = np.empty_like(atoms)
    for label in range(6):
        rows = np.flatnonzero(group == label)
        others[rows] = atoms[random.permutation(rows)]
    counterpart, similarity = match(atoms, others * random.uniform(0.1, 10, (60, 1)), group)
    np.testing.assert_allclose(similarity, 1)
    np.testing.assert_array_equal(others[counterpart], atoms)


@given(st.integers(1, 5), st.integers(0, 1000), st.booleans())
def test_the_sum_of_similarities_is_the_greatest_of_all_permutations(k, seed, signed):
    atoms = dictionary(k, 4, [seed, 0]) - 0.5 * signed
    others = dictionary(k, 4, [seed, 1]) - 0.5 * signed
    cosines = cosine_similarity(atoms, others)
    best = max(permutations(range(k)), key=lambda order: cosines[range(k), order].sum())
    counterpart, similarity = match(atoms, others, np.zeros(k, int))
    np.testing.assert_allclose(similarity, cosines[range(k), best], atol=1e-12)
    np.testing.assert_allclose(cosines[range(k), counterpart], similarity, atol=1e-12)


def test_atoms_are_not_matched_across_groups():
    atoms = np.eye(4)
    crossed = atoms[[2, 3, 0, 1]]
    assert match(atoms, crossed, np.array([0, 0, 1, 1]))[1].tolist() == [0, 0, 0, 0]
    counterpart, similarity = match(atoms, crossed, np.array([7, -1, 7, -1]))
    assert counterpart.tolist() == [2, 3, 0, 1]
    assert similarity.tolist() == [1, 1, 1, 1]


@pytest.mark.filterwarnings("error")
def test_an_atom_of_zeros_is_similar_to_none():
    atoms = dictionary(4)
    atoms[1] = 0
    others = atoms.copy()
    np.testing.assert_allclose(match(atoms, others, np.zeros(4, int))[1], [1, 0, 1, 1])


def test_nearest_by_cosine():
    atoms = np.random.default_rng(0).random((9, 5))
    atoms[7] = 3 * atoms[2]
    atoms[4] = 0
    numbers, cosines = nearest(torch.from_numpy(atoms), range(1, 4), 3)
    expected = 1 - cdist(atoms[1:4], np.delete(atoms, 4, 0), "cosine")
    others = np.delete(np.arange(9), 4)
    for row, concept in enumerate(range(1, 4)):
        order = [k for k in others[np.argsort(-expected[row], kind="stable")] if k != concept][:3]
        assert numbers[row].tolist() == order
        np.testing.assert_allclose(cosines[row], expected[row][np.searchsorted(others, order)])
    assert numbers[1, 0] == 7


def test_fewer_atoms_than_are_asked_for_and_atoms_that_are_zero():
    numbers, cosines = nearest(torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]]), range(0, 3), 8)
    assert numbers.tolist() == [[2, 1], [0, 2], [0, 1]]
    assert cosines[1].tolist() == [0, 0]


# Below 1e-3 an entry is 0: squares of others must not vanish in the reference.
entries = st.floats(-100, 100).map(lambda value: value if abs(value) > 1e-3 else 0.0)
dictionaries = st.integers(2, 8).flatmap(
    lambda d: arrays(float, st.tuples(st.integers(1, 5), st.just(d)), elements=entries)
)


def sparseness(atom):
    d = len(atom)
    absolute = sum(abs(value) for value in atom)
    length = sum(value * value for value in atom) ** 0.5
    return (d**0.5 - absolute / length) / (d**0.5 - 1) if length else np.nan


@given(dictionaries)
def test_sparseness_follows_its_definition(atoms):
    values = hoyer(atoms)
    expected = [sparseness(atom.tolist()) for atom in atoms]
    np.testing.assert_allclose(values, expected, atol=1e-12)
    known = values[~np.isnan(values)]
    assert ((known > -1e-12) & (known < 1 + 1e-12)).all()


@given(dictionaries, st.sampled_from([1e-300, 1e-9, -1.0, 0.3, 1e200]))
def test_sparseness_does_not_depend_on_the_scale(atoms, scale):
    np.testing.assert_allclose(hoyer(atoms * scale), hoyer(atoms), atol=1e-12)


@pytest.mark.parametrize("d", [2, 5, 2048])
def test_one_channel_is_1_and_all_alike_are_0(d):
    atoms = np.stack([-np.eye(d)[1], np.full(d, 0.3), np.resize([2.0, -2.0], d)])
    np.testing.assert_allclose(hoyer(atoms), [1, 0, 0], atol=1e-12)


@pytest.mark.filterwarnings("error")
def test_zeros_and_single_channels_say_nothing():
    assert np.isnan(hoyer(np.array([[0.0, 0.0], [1.0, 0.0]]))).tolist() == [True, False]
    assert np.isnan(hoyer(np.array([[2.0], [0.0]]))).all()


def test_atoms_that_repeat_an_earlier_one(monkeypatch):
    random = np.random.default_rng(0)
    atoms = random.random((30, 4))
    atoms[7] = 0
    atoms[11] = 3 * atoms[2]
    distances = cdist(atoms, atoms, "cosine")
    earlier = np.tril(np.ones((30, 30), bool), -1)
    expected = ((1 - np.nan_to_num(distances, nan=1.0) > 0.9) & earlier).any(1)
    assert expected[11] and not expected[7] and not expected.all()
    monkeypatch.setattr(atom_geometry, "BLOCK", 8)
    np.testing.assert_array_equal(atom_geometry.repeated(atoms, 0.9), expected)
