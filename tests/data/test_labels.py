import numpy as np
import pytest
import torch

from vinfo_mpi.data.labels import as_factors, as_labels
from vinfo_mpi.errors import InputError

LABELS = [2, 0, 1, 1, 0, 2]
NAN = float("nan")


@pytest.mark.parametrize(
    "values",
    [
        LABELS,
        np.array(LABELS, np.uint8),
        np.array(LABELS)[:, None],
        np.array(LABELS, float),
        np.array(LABELS, object),
        torch.tensor(LABELS),
        [torch.tensor(label) for label in LABELS],
        [np.array([label]) for label in LABELS],
        [torch.tensor([float(label)]) for label in LABELS],
        np.eye(3)[LABELS],
        torch.eye(3)[LABELS],
        [row.tolist() for row in np.eye(3, dtype=int)[LABELS]],
    ],
)
def test_labels_of_every_kind_are_the_classes(values):
    labels, names = as_labels(values, "own:set")
    assert labels.dtype == np.int64
    assert labels.tolist() == LABELS
    assert names is None


@pytest.mark.parametrize("kind", [list, np.array, lambda texts: np.array(texts, object)])
def test_texts_are_numbered_as_the_alphabet_goes(kind):
    labels, names = as_labels(kind(["dog", "ant", "cat", "cat", "ant", "dog"]), "own:set")
    assert labels.tolist() == LABELS
    assert names == ["ant", "cat", "dog"]


def test_booleans_are_two_classes():
    assert as_labels([True, False, True], "own:set")[0].tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    "values, sentence",
    [
        ([0, 1.7, 1], r"image 1 has label 1\.7; .*factor"),
        ([0, NAN, 1], "image 1 has label nan"),
        ([0, None, 1], r"image 1 has no label \(None\)"),
        (["cat", None, 1], "image 1 has no label"),
        (["cat", 1], "labels are int, str"),
        ([{"a": 1}, {"a": 2}], "labels are dict"),
        (np.ones((3, 2)), r"shape \(3, 2\) and are not one-hot"),
        (np.array([[0.5, 0.5], [0, 1]]), "not one-hot"),
        ([[0, 1], [1]], "labels are list"),
        (np.zeros((3, 2, 2)), r"shape \(3, 2, 2\)"),
        ([0, 2123045], "labels go up to 2123045"),
    ],
)
def test_what_is_no_class_is_refused(values, sentence):
    with pytest.raises(InputError, match=rf"data\.source own:set: .*{sentence}"):
        as_labels(values, "own:set")


@pytest.mark.parametrize(
    "values, expected",
    [
        ([1.5, 2, -3], {"f": [1.5, 2, -3]}),
        (np.array([1, 2, 3], np.int8), {"f": [1, 2, 3]}),
        ([True, False, True], {"f": [1, 0, 1]}),
        (np.array([True, False, True], object), {"f": [1, 0, 1]}),
        ([1, None, 3], {"f": [1, NAN, 3]}),
        ([True, None, False], {"f": [1, NAN, 0]}),
        (torch.tensor([1.0, 2.0, NAN]), {"f": [1, 2, NAN]}),
        (["red", "blue", "red"], {"f=blue": [0, 1, 0], "f=red": [1, 0, 1]}),
        (["red", None, "blue"], {"f=blue": [0, NAN, 1], "f=red": [1, NAN, 0]}),
        (np.array(["red", NAN, "red"], object), {"f=red": [1, NAN, 1]}),
    ],
)
def test_factors_of_every_kind_become_numbers(values, expected):
    factors = as_factors({"f": values}, 3, "own:set")
    assert list(factors) == list(expected)
    for name, numbers in expected.items():
        np.testing.assert_array_equal(factors[name], np.array(numbers, float))


@pytest.mark.parametrize(
    "values, sentence",
    [
        ([1, 2], r"has shape \(2,\), but there are 3 images"),
        (np.zeros((3, 2)), r"has shape \(3, 2\)"),
        ([1, np.inf, 2], "is infinite for image 1"),
        ([1, "red", 2], "holds int, str"),
        (np.array(["2020-01-01"] * 3, "datetime64[D]"), "holds datetime64"),
    ],
)
def test_factors_that_are_none_are_refused(values, sentence):
    with pytest.raises(InputError, match=rf"the factor 'f' {sentence}"):
        as_factors({"f": values}, 3, "own:set")
