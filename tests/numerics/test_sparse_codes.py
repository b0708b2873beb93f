"""Packed codes are those that are not 0, wherever they stand."""

import numpy as np
import pytest
import torch

from vinfo_mpi.numerics.sparse_codes import SparseCodes, pack

WIDTH = 12


@pytest.fixture
def dense():
    """Codes of 6 images, 5 positions, 7 concepts: the first image has none, the last one 20."""
    random = np.random.default_rng(0)
    codes = random.gamma(1, size=(6, 5, 7)) * (random.random((6, 5, 7)) < 0.2)
    codes[0] = 0
    codes[5] = 0
    codes[5].flat[random.permutation(35)[:20]] = 1
    return codes


def packed(dense):
    arrays = pack(torch.from_numpy(dense), WIDTH)
    return SparseCodes(**{name: array.numpy() for name, array in arrays.items()})


def test_every_code_is_found_again(dense):
    sparse = packed(dense)
    images, concepts = np.nonzero(np.ones((6, 7)) * sparse.whole[:, None])
    found = sparse.at_positions(images, concepts)
    np.testing.assert_allclose(found, dense[images, :, concepts], rtol=1e-7)
    assert (found > 0).sum() == (dense[sparse.whole] > 0).sum()


def test_what_has_no_room_is_not_kept(dense):
    sparse = packed(dense)
    assert sparse.whole.tolist() == ((dense > 0).sum((1, 2)) <= WIDTH).tolist()
    assert sparse.whole[0]
    assert not sparse.whole[5]
    assert (sparse.codes[~sparse.whole] == 0).all()
    assert (sparse.counts == (dense > 0).sum(2)).all()
    assert sparse.codes.shape == sparse.atoms.shape == (6, WIDTH)


def test_entries_stand_in_the_order_of_positions_and_atoms(dense):
    sparse = packed(dense)
    for image in np.flatnonzero(sparse.whole):
        position, atom = np.nonzero(dense[image])
        assert sparse.atoms[image, : len(atom)].tolist() == atom.tolist()
        assert np.repeat(np.arange(5), sparse.counts[image]).tolist() == position.tolist()
