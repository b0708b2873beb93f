"""Non-negative codes to the same KKT residual, beside scikit-learn and scipy.

The residual is max|min(z, gradient)| / max|x Dᵀ| of the worst row: 0 at the optimum.
scikit-learn's coordinate descent is given as many iterations as it needs for it; scipy's active
sets solve each row exactly.

    python -m benchmarks.encode [--full]
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import nnls as scipy_nnls
from sklearn.decomposition import non_negative_factorization

from benchmarks.side_by_side import Contestant, Options, Row, compare, main
from vinfo_mpi.numerics import nnls

TOLERANCE = 1e-4
# Iterations that scikit-learn is given.
FEWEST = 25
MOST = 400


@dataclass(frozen=True)
class Size:
    """Rows n, channels d, atoms K, and of how many rows the peers find the codes.

    Their time grows as the rows.
    """

    n: int
    d: int
    concepts: int
    of_peers: int


SMALL = [Size(2048, 128, 100, 256), Size(1024, 256, 1000, 32)]
LARGE = [*SMALL, Size(1024, 512, 3000, 16), Size(512, 512, 10000, 4)]


def cases(options: Options, sizes: list[Size] | None = None) -> Iterator[list[Row]]:
    """Yield ours beside its peers on few rows, and ours in both precisions on many."""
    warnings.filterwarnings("ignore", message="Maximum number of iterations")
    for size in sizes or (LARGE if options.full else SMALL):
        x, atoms = sample(size)
        yield _case(x[: size.of_peers], atoms, options, peers=True)
        yield _case(x, atoms, options, peers=False)


def sample(size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Return rows (n, d) that are sparse sums of atoms but for some noise, and the atoms (K, d).

    These have unit length.
    """
    random = np.random.default_rng(0)
    atoms = random.gamma(0.5, size=(size.concepts, size.d))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    used = random.random((size.n, size.concepts)) < min(0.2, 20 / size.concepts)
    clean = np.where(used, random.gamma(1.0, size=used.shape), 0) @ atoms
    return (clean * (1 + 0.1 * random.standard_normal(clean.shape))).clip(0), atoms


def _case(x: np.ndarray, atoms: np.ndarray, options: Options, peers: bool) -> list[Row]:
    rows = torch.from_numpy(x).to(options.device)
    prepared = nnls.Dictionary(torch.from_numpy(atoms).to(options.device))

    directions = nnls.Dictionary(prepared.atoms, "directions")

    def ours(dictionary: nnls.Dictionary, precision: torch.dtype = torch.float64) -> np.ndarray:
        return dictionary.encode(rows, TOLERANCE, precision=precision).codes.cpu().numpy()

    contestants = [Contestant("vinfo_mpi", lambda: ours(prepared))]
    if not peers:
        alternating = Contestant("ours by directions", lambda: ours(directions))
        single = Contestant("... in float32", lambda: ours(directions, torch.float32))
        contestants += [alternating, single]
    else:
        count = _needed(x, atoms)
        contestants += [
            Contestant(f"scikit-learn, {count} iterations", lambda: _scikit_learn(x, atoms, count)),
            Contestant("scipy nnls", lambda: np.stack([scipy_nnls(atoms.T, row)[0] for row in x])),
        ]
    name = f"K = {len(atoms):,}, d = {x.shape[1]}, {len(x):,} rows"
    return compare(name, contestants, lambda answers: same(answers, x, atoms), options.repeats)


def same(answers: dict[str, Any], x: np.ndarray, atoms: np.ndarray) -> str:
    """Say which residual each has reached; squared errors must be equal but for the tolerance."""
    errors = [float(np.square(x - codes @ atoms).sum()) for codes in answers.values()]
    residuals = {name: residual(codes, x, atoms) for name, codes in answers.items()}
    assert residuals["vinfo_mpi"] <= TOLERANCE * (1 + 1e-6), residuals
    assert max(errors) - min(errors) < 1e-3 * float(np.square(x).sum()), errors
    return "residual " + ", ".join(f"{value:.0e}" for value in residuals.values())


def residual(codes: np.ndarray, x: np.ndarray, atoms: np.ndarray) -> float:
    """Return how far the worst row is from the optimality conditions."""
    target = x @ atoms.T
    gradient = codes @ (atoms @ atoms.T) - target
    return float((np.abs(np.minimum(codes, gradient)).max(1) / np.abs(target).max(1)).max())


def _needed(x: np.ndarray, atoms: np.ndarray) -> int:
    """Return how many iterations scikit-learn needs for the residual, at most `MOST`."""
    count = FEWEST
    while count < MOST and residual(_scikit_learn(x, atoms, count), x, atoms) > TOLERANCE:
        count *= 2
    return count


def _scikit_learn(x: np.ndarray, atoms: np.ndarray, iterations: int) -> np.ndarray:
    return non_negative_factorization(
        x, H=atoms, n_components=len(atoms), update_H=False, tol=0, max_iter=iterations
    )[0]


if __name__ == "__main__":
    main(__doc__, "encode", cases)
