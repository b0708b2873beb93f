import numpy as np
import torch
from scipy.spatial.distance import cdist

from vinfo_mpi.numerics import atom_geometry


def test_nearest_by_cosine():
    atoms = np.random.default_rng(0).random((9, 5))
    atoms[7] = 3 * atoms[2]
    atoms[4] = 0
    numbers, cosines = atom_geometry.nearest(torch.from_numpy(atoms), range(1, 4), 3)
    expected = 1 - cdist(atoms[1:4], np.delete(atoms, 4, 0), "cosine")
    others = np.delete(np.arange(9), 4)
    for row, concept in enumerate(range(1, 4)):
        order = [k for k in others[np.argsort(-expected[row], kind="stable")] if k != concept][:3]
        assert numbers[row].tolist() == order
        np.testing.assert_allclose(cosines[row], expected[row][np.searchsorted(others, order)])
    assert numbers[1, 0] == 7


def test_fewer_atoms_than_are_asked_for_and_atoms_that_are_zero():
    numbers, cosines = atom_geometry.nearest(torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]]), range(0, 3), 8)
    assert numbers.tolist() == [[2, 1], [0, 2], [0, 1]]
    assert cosines[1].tolist() == [0, 0]
