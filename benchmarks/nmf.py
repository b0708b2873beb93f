"""NMF to the error at which scikit-learn converges, plus 1 %, beside scikit-learn and torchnmf.

Joint and class-wise. Everybody is given as many iterations as that takes, and is timed from the
rows to the factors, initial values included. How many is found out beforehand. scikit-learn has
converged when 5 further iterations lower its error by less than 0.1 %; class by class it runs in a
loop.

python -m benchmarks.nmf [--full]
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import non_negative_factorization
from torchnmf.nmf import NMF as TorchNMF

from benchmarks import limits
from benchmarks.side_by_side import Contestant, Options, Row, compare, main
from vinfo_mpi.numerics import nmf

CHUNK = 5  # iterations between looks at the error of a fit
SLOW = 1e-3  # share by which a chunk lowers the error of a fit that has converged
MARGIN = 1.01
MOST = 500  # iterations


@dataclass(frozen=True)
class Size:
    """Rows of a class, channels d, atoms of a class k, classes; one class is a joint dictionary."""

    rows: int
    d: int
    k: int
    classes: int = 1


SMALL = [Size(4000, 256, 50), Size(500, 256, 10, classes=20)]
LARGE = [Size(20000, 512, 100), Size(1000, 512, 10, classes=100)]


def cases(options: Options, sizes: list[Size] | None = None) -> Iterator[list[Row]]:
    """Yield ours beside its peers at every size."""
    warnings.filterwarnings("ignore", message="Maximum number of iterations")
    for size in sizes or (LARGE if options.full else SMALL):
        name = f"{size.rows * size.classes:,} x {size.d}, {size.classes} x {size.k} atoms"
        yield compare(name, contestants(sample(size), size, options.device), same, options.repeats)


def sample(size: Size) -> np.ndarray:
    """Return rows of all classes, one class after the other, (rows · classes, d).

    They are sums of sparse non-negative atoms, and noise.
    """
    random = np.random.default_rng(0)
    rows_of_classes = []
    for _ in range(size.classes):
        codes = random.gamma(0.3, size=(size.rows, size.k + 2))
        clean = codes @ random.gamma(0.3, size=(size.k + 2, size.d))
        rows_of_classes.append(clean + 0.3 * clean.mean() * random.random(clean.shape))
    return np.concatenate(rows_of_classes).astype(np.float32)


def contestants(x: np.ndarray, size: Size, device: str) -> Iterator[Contestant]:
    """Yield ways to a factorisation, each with as many iterations as it needs.

    They return ||X - Z D||² over the goal.
    """
    k = size.k
    rows_of_classes = np.split(x, size.classes)
    histories = [list(_scikit_learn_errors(rows, k)) for rows in rows_of_classes]
    goals = [MARGIN**2 * history[-1] for history in histories]
    goal = sum(goals)

    rows = torch.from_numpy(x).to(device)
    group = torch.arange(size.classes, device=device).repeat_interleave(size.rows)
    count = _iterations(rows, k, group, size.classes, goal)
    products = 4.0 * len(x) * size.d * k * count
    rate = limits.matrix_rate(torch.float64, device)

    def ours() -> float:
        state = nmf.fit(rows, k, group, size.classes, tolerance=1e-12, max_iterations=count)
        return state.objective[-1] / goal

    yield Contestant(f"vinfo_mpi, {count} iterations", ours, products, rate)

    counts = [
        _needed(history, goal_of_class)
        for history, goal_of_class in zip(histories, goals, strict=True)
    ]

    def scikit_learn() -> float:
        errors = [
            _error(rows, *_scikit_learn(rows, k, n))
            for rows, n in zip(rows_of_classes, counts, strict=True)
        ]
        return sum(errors) / goal

    yield Contestant(f"scikit-learn NMF, {np.mean(counts):.0f} iterations", scikit_learn)
    if size.classes == 1:
        n = _needed(_torchnmf_errors(rows, k), goal)

        def torchnmf() -> float:
            return _torchnmf_error(rows, _torchnmf(rows, k, n)) / goal

        yield Contestant(f"torchnmf NMF, {n} iterations", torchnmf)


def _iterations(rows: torch.Tensor, k: int, group: torch.Tensor, classes: int, goal: float) -> int:
    """Return after how many iterations ours reaches the goal, all of them if it never does."""
    state = None
    most = 0
    while most < MOST and (state is None or state.objective[-1] > goal):
        most += CHUNK
        state = nmf.fit(rows, k, group, classes, tolerance=1e-12, max_iterations=most, start=state)
    assert state is not None
    reached = [index for index, error in enumerate(state.objective) if error <= goal]
    return 1 + min(reached, default=len(state.objective) - 1)


def same(answers: dict[str, Any]) -> str:
    """Say who reached the error, in words of the error itself."""
    ours, *peers = answers.items()
    assert ours[1] <= 1, answers
    late = [f"{name} still {error**0.5 - 1:.1%} above" for name, error in peers if error > 1]
    return ", ".join(["error of scikit-learn + 1 %", *late])


def _needed(errors: Iterable[float], goal: float) -> int:
    """Return after how many iterations the goal is reached, all of them if it never is."""
    count = 0
    for error in errors:
        count += CHUNK
        if error <= goal:
            break
    return count


def _error(x: np.ndarray, z: np.ndarray, atoms: np.ndarray) -> float:
    return float(np.square(x - z @ atoms, dtype=np.float64).sum())


def _scikit_learn(
    x: np.ndarray, k: int, iterations: int, z: Any = None, atoms: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return codes and atoms after iterations from NNDSVDa, or from where a call ended."""
    init = "nndsvda" if z is None else "custom"
    return non_negative_factorization(
        x, z, atoms, n_components=k, init=init, tol=0, max_iter=iterations, random_state=0
    )[:2]


def _scikit_learn_errors(x: np.ndarray, k: int) -> Iterator[float]:
    """Yield the squared error after every chunk of iterations, until it has converged."""
    z = None
    atoms = None
    before = np.inf
    for _ in range(0, MOST, CHUNK):
        z, atoms = _scikit_learn(x, k, CHUNK, z, atoms)
        error = _error(x, z, atoms)
        yield error
        if error > (1 - SLOW) ** 2 * before:
            return
        before = error


def _torchnmf(x: torch.Tensor, k: int, iterations: int, model: TorchNMF | None = None) -> TorchNMF:
    """Return torchnmf's model after so many multiplicative iterations.

    From random numbers, or where the model stands.
    """
    if model is None:
        torch.manual_seed(0)
        model = TorchNMF(x.shape, rank=k).to(x.device)
    model.fit(x, beta=2, tol=0, max_iter=iterations)
    return model


def _torchnmf_error(x: torch.Tensor, model: TorchNMF) -> float:
    with torch.no_grad():
        return float((x - model()).double().square().sum())


def _torchnmf_errors(x: torch.Tensor, k: int) -> Iterator[float]:
    """Yield the squared error after every chunk of iterations."""
    model = None
    for _ in range(0, MOST, CHUNK):
        model = _torchnmf(x, k, CHUNK, model)
        yield _torchnmf_error(x, model)


if __name__ == "__main__":
    main(__doc__, "nmf", cases)
