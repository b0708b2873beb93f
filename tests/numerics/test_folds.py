import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vinfo_mpi.numerics import folds, hashing


@given(st.integers(2, 300), st.integers(1, 7), st.integers(2, 10), st.integers(0, 3))
def test_folds_are_balanced_in_every_class_and_in_all(n, classes, count, seed):
    random = np.random.default_rng(seed)
    ids = random.choice(10**12, n, replace=False)
    labels = random.integers(0, classes, n)
    fold = folds.assign(ids, labels, count, seed)
    everything = np.bincount(fold, minlength=count)
    assert everything.max() - everything.min() <= 1
    for label in range(classes):
        in_class = np.bincount(fold[labels == label], minlength=count)
        assert in_class.max() - in_class.min() <= 1


@given(st.integers(2, 200), st.integers(0, 100))
def test_a_fold_belongs_to_the_id_not_to_the_order(n, seed):
    random = np.random.default_rng(seed)
    ids = random.choice(10**6, n, replace=False)
    labels = random.integers(0, 3, n)
    order = random.permutation(n)
    assert (folds.assign(ids[order], labels[order], 5) == folds.assign(ids, labels, 5)[order]).all()


def test_copies_share_a_fold_and_move_no_other_image():
    ids = np.arange(30)
    labels = ids % 3
    copies = np.array([4, 4, 17])
    fold = folds.assign(np.append(ids, copies), np.append(labels, [0, 1, 2]), 5)
    assert (fold[:30] == folds.assign(ids, labels, 5)).all()
    assert (fold[30:] == fold[copies]).all()


def test_another_seed_gives_another_division():
    ids = np.arange(100)
    labels = np.zeros(100)
    assert (folds.assign(ids, labels, 5, seed=0) != folds.assign(ids, labels, 5, seed=1)).any()


def test_hash_is_splitmix64():
    # The first outputs of the reference implementation, seeded with 0.
    reference = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    golden = 0x9E3779B97F4A7C15
    ids = np.array([0, golden, 2 * golden], dtype=object) % 2**64
    signed = np.array([int(id_) - 2**64 if id_ >= 2**63 else int(id_) for id_ in ids], np.int64)
    assert hashing.hashed(signed).tolist() == reference
