import numpy as np
import pytest

from vinfo_mpi.numerics.differences import difference


def test_concepts_of_all_classes_have_errors_of_their_own_beside_classwise_ones():
    """A dictionary without classes is not one class, whose own spread would be in no draw."""
    random = np.random.default_rng(0)
    classes = np.repeat(np.arange(10), 20)
    classwise = random.normal(size=10)[classes] + 0.01 * random.normal(size=200)
    joint = random.normal(1, 4, size=150)
    of_all = np.full(150, -1)
    of_classes = classwise.reshape(10, 20).mean(1).std() / np.sqrt(10)
    expected = np.hypot(of_classes, joint.std() / np.sqrt(150))
    for sign, (first, second) in {
        1: ((classwise, classes), (joint, of_all)),
        -1: ((joint, of_all), (classwise, classes)),
    }.items():
        estimate = difference(*first, *second)
        assert estimate.value == pytest.approx(sign * (joint.mean() - classwise.mean()))
        assert estimate.standard_error == pytest.approx(expected, rel=0.1)
        assert estimate.over == "classes where concepts have them, else concepts"


def test_what_both_runs_share_by_class_is_no_error():
    random = np.random.default_rng(0)
    classes = np.repeat(np.arange(10), 20)
    values = random.normal(size=10)[classes]
    estimate = difference(values, classes, values + 0.5, classes)
    assert estimate.value == pytest.approx(0.5)
    assert estimate.standard_error == pytest.approx(0, abs=1e-12)
    assert estimate.over == "10 classes"
