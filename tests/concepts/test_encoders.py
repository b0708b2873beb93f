"""Who solves for non-negative codes: what encode.solver says."""

import pytest
import torch
from small_run import on

from vinfo_mpi.concepts import encoders
from vinfo_mpi.config.schema import Encode
from vinfo_mpi.numerics import nnls, working_sets

TOLERANCE = 1e-6


@pytest.fixture
def by_sets(monkeypatch):
    """How many rows have been given to working sets, call by call."""
    calls = []
    solve = working_sets.solve

    def noted(x, *arguments):
        calls.append(len(x))
        return solve(x, *arguments)

    monkeypatch.setattr(working_sets, "solve", noted)
    return calls


def test_the_setting_chooses_the_solver_and_both_minimise_the_same(run, by_sets):
    """With the atoms of the small run, too few for working sets unless they are asked for."""
    errors = {}
    for solver in ("auto", "directions", "working-sets"):
        encoder = encoders.encoder(
            on(run[0], f"encode.solver={solver}", f"encode.tolerance={TOLERANCE}")
        )
        atoms = encoder.dictionary.atoms
        random = torch.Generator().manual_seed(0)
        maps = torch.rand(5, 3, atoms.shape[1], generator=random, dtype=torch.float64)
        encoded = encoder.encode({"map": maps})
        assert (encoded.residual <= TOLERANCE).all()
        assert by_sets == ([15] if solver == "working-sets" else [])
        errors[solver] = (maps - encoded.codes @ atoms).square().sum(2)
    assert torch.equal(errors["auto"], errors["directions"])
    difference = errors["working-sets"] - errors["directions"]
    assert (difference.abs() <= 1e-5 * maps.square().sum(2)).all()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_is_asked_for_holds_on_every_device_and_for_any_number_of_atoms(device):
    for concepts in (10, 5000, 50_000):
        assert nnls.by_working_sets(concepts, 64, device, "working-sets")
        assert not nnls.by_working_sets(concepts, 64, device, "directions")
    assert nnls.by_working_sets(5000, 64, device) == (device == "cpu")
    assert not nnls.by_working_sets(50_000, 64, device)


def test_codes_know_their_solver_and_those_before_it_stay_good():
    assert "solver" not in Encode().identity()
    solvers = [
        Encode(solver=solver).identity()["solver"] for solver in ("directions", "working-sets")
    ]
    assert solvers == ["directions", "working-sets"]
