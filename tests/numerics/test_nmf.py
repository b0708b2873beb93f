import numpy as np
import pytest
import torch
from sklearn.decomposition import NMF

from vinfo_mpi.numerics import grouped_rows, nmf, nmf_updates


def rows(n=300, d=24, rank=8, noise=0.1, seed=0):
    random = np.random.default_rng(seed)
    clean = random.gamma(0.5, size=(n, rank)) @ random.gamma(0.5, size=(rank, d))
    return torch.from_numpy(clean + noise * random.random((n, d)))


def relative_error(x, atoms, codes):
    return float((x - codes.T @ atoms).norm() / x.norm())


@pytest.mark.parametrize(("solver", "signed"), [("hals", False), ("mu", False), ("hals", True)])
def test_the_objective_never_rises_and_is_what_it_says(solver, signed):
    x = rows() - (0.3 if signed else 0)
    state = nmf.fit(x, 6, solver=solver, signed=signed, max_iterations=60, tolerance=1e-9)
    objective = np.array(state.objective)
    assert len(objective) > 20
    assert (np.diff(objective) <= 1e-12 * state.size).all()
    assert objective[-1] == pytest.approx(
        float((x - state.codes.T @ state.atoms[0]).square().sum()), rel=1e-9
    )
    assert (state.codes >= 0).all()
    assert bool((state.atoms < 0).any()) is signed
    torch.testing.assert_close(state.atoms.norm(dim=-1), torch.ones(1, 6, dtype=torch.float64))


def test_error_at_convergence_is_not_above_scikit_learn():
    x = rows(n=400, d=40, rank=20, noise=0.5)
    reference = NMF(12, init="nndsvda", solver="cd", tol=1e-8, max_iter=5000).fit(x.numpy())
    state = nmf.fit(x, 12, tolerance=1e-8, max_iterations=5000)
    assert state.relative_error <= 1.01 * reference.reconstruction_err_ / float(x.norm())


@pytest.mark.parametrize("seed", range(3))
def test_exactly_factorable_data_are_recovered_without_a_dead_atom(seed):
    random = np.random.default_rng(seed)
    sparse = [
        random.gamma(1, size=shape) * (random.random(shape) < 0.3)
        for shape in ((500, 10), (10, 40))
    ]
    x = torch.from_numpy(sparse[0] @ sparse[1])
    state = nmf.fit(x, 10, tolerance=1e-12, max_iterations=5000)
    assert relative_error(x, state.atoms[0], state.codes) < 1e-5
    assert (state.codes.sum(1) > 0).all()
    assert (state.atoms[0].sum(1) > 0).all()


def test_class_wise_is_one_factorisation_per_class():
    x = rows(n=200)
    group = torch.arange(200) % 3
    together = nmf.fit(x, 4, group, 3, max_iterations=25, tolerance=1e-15)
    objectives = []
    for index in range(3):
        # The same initial atoms need the same random subspace: fit the class as one of three groups
        # as well.
        x_of_class = x[group == index]
        labels = torch.full((len(x_of_class),), index)
        alone = nmf.fit(x_of_class, 4, labels, 3, max_iterations=25, tolerance=1e-15)
        torch.testing.assert_close(together.atoms[index], alone.atoms[index], rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(
            together.codes[:, group == index], alone.codes, rtol=1e-9, atol=1e-9
        )
        objectives.append(alone.objective[-1])
    assert together.objective[-1] == pytest.approx(sum(objectives), rel=1e-9)


@pytest.mark.parametrize(("solver", "signed"), [("hals", False), ("mu", False), ("hals", True)])
def test_a_group_may_have_fewer_atoms_than_the_others(solver, signed):
    x = rows(n=90)
    group = torch.arange(90) % 3
    few = torch.tensor([4, 2, 0])
    options = {"solver": solver, "signed": signed, "init": "random", "seed": 5}
    options |= {"max_iterations": 20, "tolerance": 1e-15}
    state = nmf.fit(x, 4, group, 3, atoms_of_group=few, **options)
    used = torch.arange(4) < few[:, None]
    assert (state.atoms[~used] == 0).all()
    assert (state.codes.T[~used[group]] == 0).all()
    for index, count in enumerate(few.tolist()[:2]):
        x_of_group = x[group == index]
        start = nmf.State(
            nmf.random_atoms(3, 4, 24, 5)[index : index + 1, :count],
            torch.full((count, 30), nmf.EPSILON, dtype=torch.float64),
        )
        alone = nmf.fit(x_of_group, count, start=start, **options)
        torch.testing.assert_close(state.atoms[index, :count], alone.atoms[0])
        torch.testing.assert_close(state.codes[:count, group == index], alone.codes)


def test_more_atoms_than_channels_or_rows_start_from_random_atoms():
    x = rows(n=30, d=10)
    state = nmf.fit(x, 16, tolerance=1e-6)
    assert state.relative_error < 0.05
    few = nmf.fit(x[:5], 8, tolerance=1e-6)
    assert few.relative_error < 0.05


def test_fits_from_random_atoms_are_as_good_and_follow_from_the_seed():
    x = rows()
    group = torch.arange(300) % 2

    def random_fit(seed):
        return nmf.fit(x, 5, group, 2, tolerance=1e-6, init="random", seed=seed)

    informed = nmf.fit(x, 5, group, 2, tolerance=1e-6)
    first = random_fit(1)
    second = random_fit(2)
    assert max(first.relative_error, second.relative_error) < 1.02 * informed.relative_error
    torch.testing.assert_close(first.atoms, random_fit(1).atoms, rtol=0, atol=0)
    assert len({state.objective[0] for state in (informed, first, second)}) == 3


def test_a_fit_goes_on_where_it_was_left():
    x = rows()
    group = torch.arange(300) % 2
    options = {"max_iterations": 40, "tolerance": 1e-15}
    states = []
    whole = nmf.fit(x, 5, group, 2, **options, after=lambda copy: states.append(copy()))
    assert [len(state.objective) for state in states] == list(range(1, 41))
    rest = nmf.fit(x, 5, group, 2, **options, start=states[14])
    torch.testing.assert_close(rest.atoms, whole.atoms, rtol=0, atol=0)
    assert rest.objective == whole.objective


def test_blocks_of_rows_do_not_change_the_result(monkeypatch):
    x = rows()
    group = torch.arange(300) % 2
    whole = nmf.fit(x, 5, group, 2, max_iterations=20, tolerance=1e-15)
    monkeypatch.setattr(grouped_rows, "BLOCK", 37)
    cut = nmf.fit(x, 5, group, 2, max_iterations=20, tolerance=1e-15)
    torch.testing.assert_close(cut.atoms, whole.atoms, rtol=1e-9, atol=1e-9)


def test_a_row_without_curvature_stays_as_it_is():
    gram = torch.tensor([[2.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    factor = torch.tensor([[1.0, 1.0], [5.0, 7.0]], dtype=torch.float64)
    nmf_updates.hals(torch.tensor([[4.0, -2.0], [0.0, 0.0]], dtype=torch.float64), gram, factor)
    assert factor.tolist() == [[2.0, 0.0], [5.0, 7.0]]


def test_empty_and_zero_rows_end_at_once():
    assert nmf.fit(torch.zeros(4, 3), 2).relative_error == 0
    assert nmf.fit(torch.zeros(0, 3), 2).codes.shape == (2, 0)
