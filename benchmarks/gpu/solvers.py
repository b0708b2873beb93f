"""Non-negative codes by working sets, beside alternating directions in the same call."""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from typing import Any
from unittest import mock

import torch

from benchmarks.gpu.algebra import RESIDUAL, VECTORS, problem
from benchmarks.gpu.session import Session
from vinfo_mpi.numerics import nnls, pivoting, working_sets
from vinfo_mpi.numerics.nnls_rows import scale_of, violation_of

BLOCK = 4096  # rows that are checked at once
SAME = 1e-3  # largest difference of squared errors, relative to a row's square


def solvers(session: Session) -> None:
    """Check that both solvers minimise the same, then time both, and fewer rows at once."""
    count, concepts, channels = session.choose((16384, 10000, 2048), (64, 1000, 512))
    rows, atoms = problem(count, concepts, channels, session.device)
    sets = nnls.Dictionary(atoms, "working-sets")
    directions = nnls.Dictionary(atoms, "directions")
    for dictionary in (sets, directions):  # what is made once, and libraries
        dictionary.encode(rows[:BLOCK], RESIDUAL)

    session.forget_peak()
    details = counted(session, sets, rows)
    details["memory"] = session.peak
    seconds, codes = session.time(partial(sets.encode, rows, RESIDUAL), 1, warm=0)
    of_directions, others = session.time(partial(directions.encode, rows, RESIDUAL), 1, warm=0)
    residual, apart = compared(rows, atoms, codes.codes, others.codes)
    session.check("codes by working sets satisfy KKT", residual <= RESIDUAL, residual=residual)
    session.check("... and minimise what directions do", apart <= SAME, difference=apart)

    name = f"codes of {count} rows by"
    session.speed(f"{name} directions", of_directions, **_rates(count, of_directions))
    operations = details["operations"] / session.ceilings["float64"]
    details["nonzero"] = float((codes.codes > 0).double().sum(1).mean())
    session.speed(f"{name} working sets", seconds, operations, **_rates(count, seconds), **details)
    for together in session.choose((1024, 4096), (32,)):
        encode = partial(sets.encode, rows, RESIDUAL, together=together)
        seconds, _ = session.time(encode, 1, warm=0)
        session.speed(f"... {together} at once", seconds, **_rates(count, seconds))


def counted(session: Session, dictionary: nnls.Dictionary, rows: torch.Tensor) -> dict[str, Any]:
    """Return what is done for the codes of rows: looks, factorisations, where the time goes."""
    done: Counter[str] = Counter()
    given_up: list[int] = []
    channels = rows.shape[1]

    def looking(codes: torch.Tensor, *arguments: torch.Tensor) -> torch.Tensor:
        done["looks"] += len(codes)
        return violation_of(codes, *arguments)

    def factorising(matrices: torch.Tensor) -> Any:
        done["factorisations"] += len(matrices)
        done["operations"] += len(matrices) * matrices.shape[1] ** 3 // 3
        return cholesky(matrices)

    def pivoted(*arguments: torch.Tensor) -> pivoting.Solution:
        session.synchronise()
        start = time.perf_counter()
        solution = solve(*arguments)
        session.synchronise()
        done["nanoseconds"] += int(1e9 * (time.perf_counter() - start))
        return solution

    def solving(*arguments: Any) -> tuple[torch.Tensor, torch.Tensor]:
        codes, residual = by_sets(*arguments)
        given_up.append(int((residual > RESIDUAL).sum()))
        return codes, residual

    cholesky = torch.linalg.cholesky_ex
    solve = pivoting.solve
    by_sets = working_sets.solve
    with (
        mock.patch.object(working_sets, "violation_of", looking),
        mock.patch.object(torch.linalg, "cholesky_ex", factorising),
        mock.patch.object(pivoting, "solve", pivoted),
        mock.patch.object(working_sets, "solve", solving),
    ):
        dictionary.encode(rows, RESIDUAL)
    concepts = len(dictionary.atoms)
    return {
        "operations": done["operations"] + 2.0 * concepts * channels * (done["looks"] + len(rows)),
        "looks": done["looks"] / len(rows),
        "factorisations": done["factorisations"] / len(rows),
        "operations_of_factorisations": done["operations"] / len(rows),
        "seconds_within_sets": done["nanoseconds"] / 1e9,
        "given_up": sum(given_up) / len(rows),
    }


def compared(
    rows: torch.Tensor, atoms: torch.Tensor, codes: torch.Tensor, others: torch.Tensor
) -> tuple[float, float]:
    """Return the largest residual of codes, and how far squared errors are from those of others."""
    residuals = []
    differences = []
    for x, z, of_others in zip(*(part.split(BLOCK) for part in (rows, codes, others)), strict=True):
        target = x @ atoms.T
        gradient = z @ atoms @ atoms.T - target
        residuals.append(violation_of(z, gradient, scale_of(target)).max())
        errors = [(x - values @ atoms).square().sum(1) for values in (z, of_others)]
        differences.append(((errors[0] - errors[1]).abs() / x.square().sum(1)).max())
    return float(torch.stack(residuals).max()), float(torch.stack(differences).max())


def _rates(count: int, seconds: float) -> dict[str, float]:
    rate = count / seconds
    return {"rows_per_second": rate, "whole_stage_hours": VECTORS / rate / 3600}
