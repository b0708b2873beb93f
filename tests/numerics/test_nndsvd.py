import numpy as np
import pytest
import torch
from sklearn.decomposition._nmf import _initialize_nmf

from vinfo_mpi.numerics import nndsvd
from vinfo_mpi.numerics.grouped_rows import GroupedRows
from vinfo_mpi.numerics.reduction import identity


def low_rank(n, d, rank, seed=0):
    random = np.random.default_rng(seed)
    return (
        random.gamma(0.5, size=(n, rank))
        @ np.diag(2.0 ** -np.arange(rank))
        @ random.gamma(0.5, size=(rank, d))
    )


@pytest.mark.parametrize("d", [20, 400])
def test_atoms_are_those_of_scikit_learn(d):
    """Narrow data go by the products of their channels, wide ones by passes over the rows."""
    x = low_rank(300, d, 6)
    assert nndsvd.products_first(1, d, 4) is (d == 20)
    expected = _initialize_nmf(x, 4, init="nndsvda", random_state=0)[1]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    atoms, count = nndsvd.atoms(GroupedRows(torch.from_numpy(x)), 4, 0, False, identity)
    np.testing.assert_allclose(atoms[0], expected, atol=1e-6)
    assert count.tolist() == [300]


def test_every_group_has_its_own_atoms():
    x = torch.from_numpy(np.concatenate([low_rank(50, 30, 5, seed) for seed in range(3)]))
    group = torch.arange(3).repeat_interleave(50)
    together, count = nndsvd.atoms(GroupedRows(x, group, 3), 2, 0, False, identity)
    assert count.tolist() == [50] * 3
    for index in range(3):
        alone, _ = nndsvd.atoms(GroupedRows(x[group == index]), 2, 0, False, identity)
        torch.testing.assert_close(together[index], alone[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("signed", [False, True])
def test_atoms_are_the_same_where_a_device_finds_the_opposite_vectors(monkeypatch, signed):
    """Ranks add up halves of left singular vectors, each from its own right ones."""
    rows = GroupedRows(torch.from_numpy(low_rank(100, 30, 5)))
    expected = nndsvd._right_singular(rows, 3, 0, identity)[0]
    atoms, _ = nndsvd.atoms(rows, 3, 0, signed, identity)
    eigenvectors = torch.linalg.eigh

    def opposite(matrices):
        values, vectors = eigenvectors(matrices)
        return values, -vectors

    monkeypatch.setattr(torch.linalg, "eigh", opposite)
    assert torch.equal(nndsvd._right_singular(rows, 3, 0, identity)[0], expected)
    assert torch.equal(nndsvd.atoms(rows, 3, 0, signed, identity)[0], atoms)


def test_signed_atoms_are_singular_vectors():
    x = low_rank(100, 30, 5) - 0.5
    expected = np.linalg.svd(x)[2][:3]
    atoms, _ = nndsvd.atoms(GroupedRows(torch.from_numpy(x)), 3, 0, True, identity)
    np.testing.assert_allclose(np.abs(atoms[0].numpy()), np.abs(expected), atol=1e-6)
