"""Cases of factorisations, codes, and what is made of codes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import torch

from benchmarks.gpu.case import (
    ATOMS,
    CHANNELS,
    CLASSES,
    CODES,
    CONCEPTS,
    LABEL,
    ROWS,
    Case,
    Cases,
    Function,
    Place,
    X,
    random,
)
from vinfo_mpi.numerics import (
    atom_geometry,
    examples,
    nmf,
    nnls,
    noise,
    profiles,
    sparse_codes,
    support,
    working_sets,
)

CASES = Cases()


def _factorise(place: Place, solver: str, grouped: bool, signed: bool) -> Sequence[torch.Tensor]:
    """Return a factorisation, how its atoms are used, and another that goes on from it."""
    rows = place(X if signed else X.abs().float())
    groups = CLASSES if grouped else 1
    group = place(LABEL if grouped else torch.zeros_like(LABEL))
    copies: list[nmf.State] = []

    def fit(iterations: int, start: nmf.State | None = None) -> nmf.State:
        return nmf.fit(
            rows,
            3,
            group,
            groups,
            solver=solver,
            signed=signed,
            max_iterations=iterations,
            start=start,
            after=lambda copy: copies.append(copy()),
        )

    state = fit(6)
    further = fit(8, copies[-1])
    return [
        state.atoms,
        state.codes,
        torch.tensor(state.objective),
        nmf.usage(state, group),
        further.atoms,
    ]


def _factorisations() -> Iterator[tuple[str, Function]]:
    for solver, grouped, signed in product(nmf.SOLVERS, (True, False), (True, False)):
        if signed and solver == "mu":
            continue  # multiplicative steps keep signs

        def function(
            place: Place, solver: str = solver, grouped: bool = grouped, signed: bool = signed
        ) -> Sequence[torch.Tensor]:
            return _factorise(place, solver, grouped, signed)

        of = "classes" if grouped else "joint"
        sign = "signed" if signed else "non_negative"
        yield f"nmf_{solver}_{of}_{sign}", function


CASES.update({name: Case(function) for name, function in _factorisations()})


@CASES.add
def nmf_more_atoms_than_channels(place: Place) -> Sequence[torch.Tensor]:
    """A factorisation that starts from random atoms."""
    return [nmf.fit(place(X.abs()), CHANNELS + 3, max_iterations=4).atoms]


@CASES.add
def nmf_without_rows(place: Place) -> Sequence[torch.Tensor]:
    """A factorisation on a rank that has no rows."""
    return [nmf.fit(place(X[:0].abs()), 3, place(LABEL[:0]), CLASSES, max_iterations=4).atoms]


@CASES.add
def nnls_codes(place: Place) -> Sequence[torch.Tensor]:
    """Non-negative codes; they are the same to the tolerance that they are found with."""
    codes = nnls.Dictionary(place(ATOMS)).encode(place(X.abs().float()))
    return [codes.codes, codes.residual]


@CASES.add
def nnls_few_rows_at_a_time(place: Place) -> Sequence[torch.Tensor]:
    """Non-negative codes of rows that take the places of others."""
    codes = nnls.Dictionary(place(ATOMS)).encode(place(X.abs().float()), together=30)
    return [codes.codes, codes.residual]


@CASES.add_float32
def nnls_in_float32(place: Place) -> Sequence[torch.Tensor]:
    """Squared errors of codes that are found in float32, and then in float64."""
    x, atoms = place(X.abs()), place(ATOMS)
    codes = nnls.Dictionary(atoms).encode(x, 1e-7, precision=torch.float32)
    return [(x - codes.codes @ atoms).square().sum(1)]


@CASES.add
def nnls_atoms_of_zeros(place: Place) -> Sequence[torch.Tensor]:
    """Codes for atoms that are nothing."""
    codes = nnls.encode(place(X.abs()), place(torch.zeros_like(ATOMS)))
    return [codes.codes, codes.residual]


@CASES.add
def nnls_without_rows(place: Place) -> Sequence[torch.Tensor]:
    """Codes of no rows."""
    codes = nnls.encode(place(X[:0].abs()), place(ATOMS))
    return [codes.codes, codes.residual]


def _by_working_sets(place: Place, times: int) -> Sequence[torch.Tensor]:
    """Return the codes of rows that few atoms of many carry, so many times the same rows."""
    atoms = random(6, 160, 64).abs()
    used = torch.arange(80)[:, None] + torch.tensor([0, 30, 77])
    rows = (atoms[used].sum(1) + 0.02 * random(7, len(used), 64)).repeat(times, 1)
    x, atoms = place(rows), place(atoms)
    return working_sets.solve(x, atoms, atoms @ atoms.T, 1e-9)


@CASES.add
def working_sets_of_few_rows(place: Place) -> Sequence[torch.Tensor]:
    """Codes by working sets."""
    return _by_working_sets(place, 1)


@CASES.add
def working_sets_of_more_rows(place: Place) -> Sequence[torch.Tensor]:
    """Codes by working sets, of more rows, all of which are factorised together."""
    return _by_working_sets(place, 4)


@CASES.add
def working_sets_of_many_rows(place: Place) -> Sequence[torch.Tensor]:
    """Codes by working sets, of so many rows that their sets are factorised by size."""
    return _by_working_sets(place, 14)


@CASES.add
def nnls_after_working_sets(place: Place) -> Sequence[torch.Tensor]:
    """Non-negative codes; most rows are carried by too many atoms for working sets."""
    codes = nnls.Dictionary(place(ATOMS), "working-sets").encode(place(X.abs()))
    return [codes.codes, codes.residual]


@CASES.add
def codes_by_position(place: Place) -> Sequence[torch.Tensor]:
    """Positive codes, packed; the fullest images have no room."""
    return list(sparse_codes.pack(place(CODES.reshape(CLASSES, -1, CONCEPTS)), 280).values())


@CASES.add
def noise_spread(place: Place) -> Sequence[torch.Tensor]:
    """Variance of codes about those of clean images."""
    spread = noise.Spread(place(CODES[:CLASSES]))
    spread.add(place(CODES.float()), place(LABEL))
    return [spread.variance(ROWS // CLASSES)]


@CASES.add
def profiles_of_classes(place: Place) -> Sequence[torch.Tensor]:
    """Mean codes of classes, and of classes taken together."""
    sums = profiles.Profiles(CLASSES, CONCEPTS, place(X).device)
    sums.add(place(CODES.float()), place(LABEL))
    merged = sums.reduced().merged(np.array([0, 0, 1, 1]))
    return [torch.from_numpy(sums.means()), torch.from_numpy(merged.means())]


@CASES.add
def nearest_atoms(place: Place) -> Sequence[torch.Tensor]:
    """Nearest other atoms."""
    return atom_geometry.nearest(place(ATOMS), range(3, 9), 5)


@CASES.add
def examples_of_concepts(place: Place) -> Sequence[torch.Tensor]:
    """Images that activate concepts most, and some at other levels."""
    codes = place(CODES)
    blocks = range(0, ROWS, 50)
    chosen = examples.choose(
        lambda: ((start, codes[start : start + 50]) for start in blocks),
        CONCEPTS,
        4,
        (0.0, 0.5, 0.9),
        device=codes.device,
    )
    return [chosen.codes, chosen.rows]


@CASES.add
def support_curves(place: Place) -> Sequence[torch.Tensor]:
    """How accuracy falls when concepts are removed."""
    ascending = np.arange(CONCEPTS, dtype=float)
    orders = support.orders(ascending, ascending[::-1], np.arange(CONCEPTS) % 2, 3)
    curves = support.Curves(orders, np.array([0, 2, 4, 7, CONCEPTS]), ROWS, place(X).device)
    atoms = place(ATOMS[:CONCEPTS])
    weights = place(random(5, CHANNELS, CLASSES))
    curves.add(
        place(CODES),
        atoms,
        torch.zeros_like(atoms[0]),
        lambda vectors: vectors @ weights,
        place(LABEL),
    )
    averages = [*curves.accuracy(), *curves.relative()]
    return [curves.sums, *(torch.from_numpy(np.ascontiguousarray(values)) for values in averages)]
