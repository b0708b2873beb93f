from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.optimize import nnls as reference

from vinfo_mpi.numerics import nnls, pivoting, working_sets

TOLERANCE = 1e-6


@pytest.fixture(autouse=True)
def several_blocks(monkeypatch):
    monkeypatch.setattr(working_sets, "ROWS", 8)


def problem(share, n=20, d=128, atoms=2000):
    """Rows that so many of the atoms carry, but for some noise."""
    random = np.random.default_rng(0)
    dictionary = random.gamma(0.5, size=(atoms, d))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    codes = np.where(random.random((n, atoms)) < share, random.gamma(1.0, size=(n, atoms)), 0)
    clean = codes @ dictionary
    noisy = clean * (1 + 0.02 * random.standard_normal(clean.shape))
    return torch.from_numpy(noisy.clip(0)), torch.from_numpy(dictionary)


def solve(x, atoms, tolerance=TOLERANCE):
    return working_sets.solve(x, atoms, atoms @ atoms.T, tolerance)


def residual_of(x, atoms, codes):
    target = x @ atoms.T
    gradient = codes @ atoms @ atoms.T - target
    return torch.minimum(codes, gradient).abs().amax(1) / target.abs().amax(1)


def error(x, atoms, codes):
    return (x - codes @ atoms).square().sum(1)


def test_codes_are_as_good_as_those_of_scipy():
    x, atoms = problem(share=0.005)
    codes, residual = solve(x, atoms)
    best = torch.tensor([reference(atoms.T.numpy(), row)[1] ** 2 for row in x.numpy()])
    assert (error(x, atoms, codes) <= best + 1e-6 * x.square().sum(1)).all()
    assert (codes >= 0).all()
    assert (residual <= TOLERANCE).all()
    torch.testing.assert_close(residual, residual_of(x, atoms, codes), rtol=1e-6, atol=1e-12)


def test_a_code_depends_on_its_row_alone():
    x, atoms = problem(share=0.005)
    whole, _ = solve(x, atoms)
    alone = torch.cat([solve(row[None], atoms)[0] for row in x[::7]])
    torch.testing.assert_close(alone, whole[::7], rtol=1e-9, atol=1e-11)


def test_codes_are_the_same_however_many_rows_are_worked_on_at_once(monkeypatch):
    """As a GPU works on them: all at once, their sets factorised by size."""
    x, atoms = problem(share=0.005)
    few, residual = solve(x, atoms)
    monkeypatch.setattr(pivoting, "TOGETHER", 6)
    many, of_many = working_sets.solve(x, atoms, atoms @ atoms.T, TOLERANCE, together=len(x))
    torch.testing.assert_close(many, few, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(of_many, residual, rtol=1e-6, atol=1e-12)


def test_ranks_that_share_a_gpu_take_their_own_room_of_it(monkeypatch):
    """What is free of it is free for all of them."""
    monkeypatch.setattr(working_sets, "free_on", lambda device: 79e9)
    atoms = SimpleNamespace(is_cuda=True, device="cuda", shape=(10_000, 2048))
    alone = working_sets.rows_at_once(atoms)
    shared = working_sets.rows_at_once(atoms, room=79e9 / 4)
    assert working_sets.memory(shared, *atoms.shape) <= working_sets.FREE * 79e9 / 4
    assert shared < alone == working_sets.rows_at_once(atoms, room=1e12)


def test_a_gpu_works_on_as_many_rows_as_have_room():
    paper = (10_000, 2048)
    room = [2e9, 20e9, 40e9, 70e9, 1e12]
    rows = [working_sets.rows_within(size, *paper) for size in room]
    assert rows == [256, 1024, 4096, 8192, 16384]
    assert all(
        working_sets.memory(count, *paper) <= size < working_sets.memory(2 * count, *paper)
        for count, size in zip(rows[1:-1], room[1:-1], strict=True)
    )


@pytest.mark.parametrize("shape", [(10_000, 2048), (100, 64)])
def test_no_working_set_is_wider_than_planned(shape, monkeypatch):
    """Rows that all atoms carry: all who may join."""
    concepts, channels = shape
    most = min(concepts, working_sets.most_that_carry(concepts, channels))
    sets = working_sets.WorkingSets(2, torch.empty(concepts, 0, dtype=torch.float64))
    monkeypatch.setattr(sets, "_extended", lambda joining, before: None)
    sets.members = torch.arange(most).expand(2, -1)
    sets.carries = torch.ones(2, most, dtype=torch.bool)
    sets.join(torch.rand(2, concepts, dtype=torch.float64))
    assert most < sets.members.shape[1] <= working_sets.widest(concepts, channels)


def test_rows_that_many_atoms_carry_are_given_up_early(monkeypatch):
    """Looks are products with all atoms: a row that is given up has cost few of them."""
    looks = []
    violation_of = working_sets.violation_of

    def counted(codes, gradient, target):
        looks.append(len(codes))
        return violation_of(codes, gradient, target)

    monkeypatch.setattr(working_sets, "violation_of", counted)
    x, atoms = problem(share=0.05, n=20)
    _, residual = solve(x, atoms)
    assert (residual > TOLERANCE).all()
    assert sum(looks) <= 4 * len(x)


@pytest.mark.parametrize("share", [0.005, 0.05])
def test_many_atoms_are_solved_by_them_and_what_they_give_up_by_directions(share):
    x, atoms = problem(share)
    assert nnls.by_working_sets(*atoms.shape, "cpu")
    assert not nnls.by_working_sets(*atoms.shape, "cuda")
    encoded = nnls.Dictionary(atoms).encode(x, TOLERANCE)
    assert (encoded.residual <= TOLERANCE).all()
    expected = residual_of(x, atoms, encoded.codes)
    torch.testing.assert_close(encoded.residual, expected, rtol=1e-6, atol=1e-12)
    directions = nnls.Dictionary(atoms, "directions").encode(x, TOLERANCE)
    difference = error(x, atoms, encoded.codes) - error(x, atoms, directions.codes)
    assert (difference.abs() <= 1e-6 * x.square().sum(1)).all()


def test_atoms_that_come_twice_and_rows_that_no_atom_is_near():
    x, atoms = problem(share=0.005, n=6)
    twice = torch.cat([atoms, atoms])
    x = torch.cat([x, torch.zeros_like(x[:1]), -x[:1]])
    encoded = nnls.Dictionary(twice).encode(x, TOLERANCE)
    assert (encoded.residual <= TOLERANCE).all()
    assert encoded.codes[6:].abs().sum() == 0
    difference = error(x, twice, encoded.codes) - error(x, atoms, solve(x, atoms)[0])
    assert (difference.abs() <= 1e-6 * x.square().sum(1)).all()
