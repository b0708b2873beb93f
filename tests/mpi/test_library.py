"""Functions on the arrays of several ranks give what all rows give in one program."""

import numpy as np
import pytest
from mpi4py import MPI

from vinfo_mpi import (
    NMF,
    InputError,
    cka,
    complexity,
    concept_cka,
    concept_importance,
    vinformation,
)

N = 70
WORLD = MPI.COMM_WORLD


def rows():
    random = np.random.default_rng(0)
    x = random.exponential(size=(N, 6)) + 3
    y = np.log(x) + random.normal(size=(N, 6))
    codes = x[:, :5] + 2 * random.exponential(size=(N, 5))
    return x, y, codes, np.arange(N) % 4


def numbers(x, y, codes, labels, comm):
    """Return what all functions give."""
    scores = vinformation({"x": x, "y": y}, codes, labels=labels, comm=comm)
    nmf = NMF(2, tolerance=1e-3).fit(x, labels, comm=comm)
    importance = concept_importance(codes, np.eye(5), np.eye(5), labels, comm=comm)
    return {
        "values": scores.values,
        "without": scores.without,
        "complexity": complexity(scores).complexity,
        "errors": complexity(scores).standard_errors.late,
        "atoms": nmf.atoms_,
        "relative error": nmf.relative_error_,
        "cka": cka(x, y, comm=comm),
        "concept_cka": concept_cka(x, codes, comm=comm),
        "absolute": importance.absolute,
        "share": importance.share,
    }


@pytest.mark.parametrize("first", [0, 1])
def test_ranks_together_equal_one_program(ranks, first):
    # Ranks before `first` have no rows.
    first = min(first, ranks.size - 1)
    here = np.arange(N) * (ranks.size - first) // N + first == ranks.rank
    together = numbers(*(array[here] for array in rows()), WORLD)
    for name, expected in numbers(*rows(), None).items():
        np.testing.assert_allclose(together[name], expected, rtol=0, atol=1e-10, err_msg=name)


def test_what_one_rank_cannot_use_ends_all(ranks):
    x, _, codes, _ = rows()
    if ranks.rank == ranks.size - 1:
        x[3] = np.inf
    with pytest.raises(InputError, match="row 3"):
        vinformation({"x": x}, codes, comm=WORLD)
    with pytest.raises(InputError, match="row 3"):
        NMF(2).fit(x, comm=WORLD)


def test_ranks_that_ask_for_different_numbers_are_refused(ranks):
    x, _, codes, _ = rows()
    if ranks.size == 1:
        pytest.skip("one rank agrees with itself")
    last = ranks.rank == ranks.size - 1
    with pytest.raises(InputError, match=r"folds.*same on all ranks"):
        vinformation({"x": x}, codes, folds=4 if last else 5, comm=WORLD)
    with pytest.raises(InputError, match="x: rank"):
        NMF(2).fit(x[:, :3] if last else x, comm=WORLD)
    with pytest.raises(InputError, match=r"options of NMF.*same on all ranks"):
        NMF(2, seed=int(last)).fit(x, comm=WORLD)
