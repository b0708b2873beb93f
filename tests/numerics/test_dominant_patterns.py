"""Patterns of classes: one-hot units, swapped labels, relaxations, a loop over images and units."""

import numpy as np
import pytest

from vinfo_mpi.numerics.dominant_patterns import ClassShares

RELAXATIONS = (0.0, 0.05, 0.1, 0.2, 0.45)


@pytest.fixture
def noisy():
    """Bits that follow the class with noise, labels, who is judged: of four classes."""
    random = np.random.default_rng(0)
    labels = random.integers(4, size=160)
    prototypes = random.random((4, 12)) < 0.5
    bits = prototypes[labels] ^ (random.random((160, 12)) < random.choice([0, 0.02, 0.2], 12))
    return bits, labels, random.random(160) < 0.3


def test_one_hot_units_have_patterns_of_one_unit_that_all_and_no_others_follow():
    labels = np.arange(40) % 4
    bits = labels[:, None] == np.arange(4)
    shares = ClassShares(bits, labels, np.arange(40) >= 20, 4)
    for relaxation in RELAXATIONS:
        patterns = shares.patterns(relaxation)
        np.testing.assert_array_equal(patterns.on * 4, 1)
        np.testing.assert_array_equal(patterns.off * 4, 3)
        np.testing.assert_array_equal(patterns.recall, 1)
        np.testing.assert_array_equal(patterns.ambiguity, 0)
        assert patterns.exclusive == 1


def test_a_loop_over_classes_images_and_units(noisy):
    bits, labels, judged = noisy
    for relaxation in RELAXATIONS:
        patterns = ClassShares(bits, labels, judged, 4).patterns(relaxation)
        wanted = []
        for label in range(4):
            own = bits[~judged & (labels == label)]
            allowed = int(np.floor(relaxation * len(own) + 1e-9))
            on = [unit for unit in range(12) if (~own[:, unit]).sum() <= allowed]
            off = [unit for unit in range(12) if own[:, unit].sum() <= allowed]
            follow = [
                all(image[unit] for unit in on) and not any(image[unit] for unit in off)
                for image in bits[judged]
            ]
            own_judged = labels[judged] == label
            assert patterns.on[label] == pytest.approx(len(on) / 12)
            assert patterns.off[label] == pytest.approx(len(off) / 12)
            assert patterns.recall[label] == pytest.approx(np.mean(np.array(follow)[own_judged]))
            assert patterns.ambiguity[label] == pytest.approx(
                np.mean(np.array(follow)[~own_judged])
            )
            wanted.append((set(on), set(off)))
        pairs = [
            bool(wanted[a][0] & wanted[b][1] or wanted[a][1] & wanted[b][0])
            for a in range(4)
            for b in range(a)
        ]
        assert patterns.exclusive == pytest.approx(np.mean(pairs))


def test_patterns_of_swapped_labels_are_swapped(noisy):
    bits, labels, judged = noisy
    swapped = np.array([1, 0, 2, 3])
    first = ClassShares(bits, labels, judged, 4).patterns(0.1)
    second = ClassShares(bits, swapped[labels], judged, 4).patterns(0.1)
    for name in ("on", "off", "recall", "ambiguity"):
        np.testing.assert_array_equal(getattr(first, name)[swapped], getattr(second, name))


def test_more_relaxed_patterns_are_larger_and_fewer_images_follow(noisy):
    shares = ClassShares(*noisy, 4)
    patterns = [shares.patterns(relaxation) for relaxation in RELAXATIONS]
    size = np.array([each.on + each.off for each in patterns])
    recall = np.array([each.recall for each in patterns])
    assert (np.diff(size, axis=0) >= 0).all() and (size[-1] > size[0]).all()
    assert (np.diff(recall, axis=0) <= 0).all() and (recall[-1] < recall[0]).any()


def test_a_class_without_images_to_learn_from_or_to_judge_has_no_numbers(noisy):
    bits, labels, judged = noisy
    unseen = ClassShares(bits, labels, judged | (labels == 2), 5).patterns(0.1)
    for name in ("on", "off", "recall", "ambiguity"):
        assert np.isnan(getattr(unseen, name)[[2, 4]]).all()
        assert np.isfinite(getattr(unseen, name)[[0, 1, 3]]).all()
    not_judged = ClassShares(bits, labels, judged & (labels != 2), 4).patterns(0.1)
    assert np.isnan(not_judged.recall).tolist() == [False, False, True, False]
