import numpy as np
import pytest

from vinfo_mpi.numerics import selection


def test_extremes_leave_out_concepts_without_complexity():
    ends = selection.extremes(np.array([0.5, np.nan, 0.1, 0.9, 0.3]), 0.4)
    assert {name: sorted(numbers) for name, numbers in ends.items()} == {
        "simple": [2, 4],
        "complex": [0, 3],
    }


@pytest.mark.parametrize(
    ("share", "at_least", "expected"),
    [(0.01, 1, [2]), (0.5, 1, [0, 2]), (0.01, 3, [0, 2, 4]), (0.1, 9, [0, 2, 3, 4])],
)
def test_the_most_important_are_living(share, at_least, expected):
    complexity = np.array([0.5, np.nan, 0.1, 0.9, 0.3])
    importance = np.array([3.0, 9.0, 4.0, 1.0, 2.0])
    assert sorted(selection.most_important(complexity, importance, share, at_least)) == expected
