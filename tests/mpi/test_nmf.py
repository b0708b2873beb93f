"""A factorisation of rows that lie on several ranks is that of all rows in one process."""

from functools import cache

import numpy as np
import pytest
import torch

from vinfo_mpi.numerics import nmf

ROWS = 45
CHANNELS = 12
CONCEPTS = 4
GROUPS = 3
# Which rank has each of the rows, whose groups are 0 1 2 0 1 2 ...
DIVISIONS = {
    "evenly": lambda size: np.arange(ROWS) * size // ROWS,
    "first rank has none": lambda size: np.arange(ROWS) % max(1, size - 1) + (size > 1),
    "all on the last rank": lambda size: np.full(ROWS, size - 1),
    "a group on one rank": lambda size: np.where(
        np.arange(ROWS) % GROUPS == 0, size - 1, np.arange(ROWS) % size
    ),
}


def planted(rows, signed):
    """Return rows made of a few atoms, and noise."""
    generator = torch.Generator().manual_seed(7)
    codes = torch.rand(rows, CONCEPTS, generator=generator)
    codes = codes * (torch.rand(rows, CONCEPTS, generator=generator) > 0.5)
    atoms = torch.randn(CONCEPTS, CHANNELS, generator=generator)
    noise = torch.rand(rows, CHANNELS, generator=generator)
    x = codes @ (atoms if signed else atoms.abs()) + 0.1 * noise
    x[torch.arange(rows) % GROUPS == 1, 2:5] = 0  # channels that are silent in a class
    return x


def rows_of_rank(ranks, rows):
    block = ranks.block(rows)
    return planted(rows, False)[block.start : block.stop]


@cache
def problem(class_wise, solver, signed):
    """Return all rows, their groups, the options, and the fit in one process."""
    x = planted(ROWS, signed)
    groups = GROUPS if class_wise else 1
    group = torch.arange(ROWS) % groups
    options = {"groups": groups, "solver": solver, "signed": signed, "max_iterations": 15}
    return x, group, options, nmf.fit(x, CONCEPTS, group, **options)


@pytest.mark.parametrize("division", DIVISIONS)
@pytest.mark.parametrize("class_wise", [False, True], ids=["joint", "class-wise"])
@pytest.mark.parametrize(("solver", "signed"), [("hals", False), ("mu", False), ("hals", True)])
def test_ranks_together_equal_one_process(ranks, division, class_wise, solver, signed):
    x, group, options, alone = problem(class_wise, solver, signed)
    here = torch.from_numpy(DIVISIONS[division](ranks.size) == ranks.rank)
    together = nmf.fit(x[here], CONCEPTS, group[here], reduce=ranks.sum, **options)

    assert len(alone.objective) > 5
    assert together.objective == pytest.approx(alone.objective, rel=1e-9)
    assert together.relative_error == pytest.approx(alone.relative_error, rel=1e-9)
    np.testing.assert_allclose(together.atoms, alone.atoms, rtol=0, atol=1e-9)
    np.testing.assert_allclose(together.codes, alone.codes[:, here], rtol=0, atol=1e-8)


def test_a_fit_from_random_atoms_is_that_in_one_process(ranks):
    options = {"init": "random", "seed": 3, "max_iterations": 15}
    together = nmf.fit(rows_of_rank(ranks, ROWS), CONCEPTS, reduce=ranks.sum, **options)
    alone = nmf.fit(planted(ROWS, False), CONCEPTS, **options)
    np.testing.assert_allclose(together.atoms, alone.atoms, rtol=0, atol=1e-9)


def test_all_ranks_hold_the_same_atoms(ranks):
    x = rows_of_rank(ranks, ROWS)
    state = nmf.fit(x, CONCEPTS, max_iterations=10, reduce=ranks.sum)
    assert len(set(ranks.allgather(state.atoms.numpy().tobytes()))) == 1


def test_what_an_iteration_sends_does_not_depend_on_the_rows(ranks):
    def sent(rows, iterations):
        before = ranks.bytes_sent
        x = rows_of_rank(ranks, rows)
        state = nmf.fit(x, CONCEPTS, tolerance=-1, max_iterations=iterations, reduce=ranks.sum)
        assert len(state.objective) == iterations
        return ranks.bytes_sent - before

    few = sent(20, 4) - sent(20, 3)
    many = sent(400, 4) - sent(400, 3)
    assert few == many
    assert (few > 0) == (ranks.size > 1)
