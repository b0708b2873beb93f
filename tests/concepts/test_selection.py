import numpy as np
import pytest

from vinfo_mpi.concepts.selection import choose, count
from vinfo_mpi.config.schema import Visualise
from vinfo_mpi.errors import InputError

COMPLEXITY = np.random.default_rng(0).permutation(np.linspace(0.1, 0.9, 103))
COMPLEXITY[[4, 50, 77]] = np.nan  # dead
LIVING = np.flatnonzero(np.isfinite(COMPLEXITY))


def test_extremes_and_some_of_every_decile():
    chosen = choose(Visualise(extremes=4, per_decile=3), COMPLEXITY, 0)
    order = LIVING[np.argsort(COMPLEXITY[LIVING])]
    assert set(order[:4]) | set(order[-4:]) <= set(chosen)
    assert (np.diff(chosen) > 0).all()
    rank = np.argsort(np.argsort(COMPLEXITY[LIVING]))[np.searchsorted(LIVING, chosen)]
    assert (np.bincount(rank // 10, minlength=10) >= 3).all()
    assert 30 <= len(chosen) <= count(Visualise(extremes=4, per_decile=3), 103) == 38
    assert np.array_equal(chosen, choose(Visualise(extremes=4, per_decile=3), COMPLEXITY, 0))
    assert not np.array_equal(chosen, choose(Visualise(extremes=4, per_decile=3), COMPLEXITY, 1))


@pytest.mark.parametrize("size", [1, 3, 12])
def test_more_wanted_than_there_are(size):
    chosen = choose(Visualise(extremes=20, per_decile=20), np.linspace(0, 1, size), 0)
    assert chosen.tolist() == list(range(size))
    assert count(Visualise(extremes=20, per_decile=20), size) == size


def test_an_explicit_choice_may_be_dead():
    assert choose(Visualise(concepts=[50, 3, 50]), COMPLEXITY, 0).tolist() == [3, 50]
    assert choose(Visualise(concepts="all"), COMPLEXITY, 0).tolist() == list(range(103))
    assert count(Visualise(concepts=[50, 3, 50]), 103) == 2
    assert count(Visualise(concepts="all"), 103) == 103


def test_concepts_that_are_not_there_are_refused():
    for function in (
        lambda: choose(Visualise(concepts=[0, 103]), COMPLEXITY, 0),
        lambda: count(Visualise(concepts=[103]), 103),
    ):
        with pytest.raises(InputError, match="names concept 103, but there are 103, from 0 to 102"):
            function()
    with pytest.raises(InputError, match="no concept varies"):
        choose(Visualise(), np.full(5, np.nan), 0)
