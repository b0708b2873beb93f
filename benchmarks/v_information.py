"""V-information of all concepts at one tap, penalties searched, beside himalaya and scikit-learn.

The answer is the held-out R² of ridge regression, every concept with the best of the penalties, in
the same folds for ours and himalaya, which centres and scales with all samples instead of those of
each training set. scikit-learn has a penalty for every target only where it leaves out one sample
at a time.

    python -m benchmarks.v_information [--full]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from himalaya.ridge import RidgeCV as Himalaya
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import PredefinedSplit
from sklearn.preprocessing import StandardScaler

from benchmarks import limits
from benchmarks.side_by_side import Contestant, Options, Row, compare, main
from vinfo_mpi.numerics import ridge
from vinfo_mpi.numerics.moments import FoldedCodes, Moments

FOLDS = 5
# Of R². Who leaves out one sample at a time trains on a quarter more samples than who leaves out a
# fifth.
AGREEMENT = {"himalaya RidgeCV": 2e-3, "scikit-learn RidgeCV": 5e-2}
PENALTIES = tuple(10.0**power for power in range(-5, 5))


@dataclass(frozen=True)
class Size:
    """Samples n, channels d, concepts K; whether the peers take part."""

    n: int
    d: int
    concepts: int
    peers: bool = True


SMALL = [Size(3000, 128, 300), Size(12000, 256, 1000), Size(50000, 256, 1000, peers=False)]
LARGE = [
    Size(24000, 256, 1000),
    Size(12000, 512, 1000),
    Size(12000, 256, 4000),
    Size(200000, 256, 1000, peers=False),
]


def cases(options: Options, sizes: list[Size] | None = None) -> Iterator[list[Row]]:
    """Yield the whole score beside its peers, then its two halves beside the rate of products."""
    for size in sizes or (SMALL + LARGE if options.full else SMALL):
        x, z, fold = sample(size)
        name = f"{size.n:,} x {size.d} x {size.concepts:,}"
        yield compare(
            name, contestants(x, z, fold, options.device, size.peers), same, options.repeats
        )
        yield parts(f"{name}, in parts", x, z, fold, options)


def sample(size: Size) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return activations (n, d), codes (n, K) that follow from them in part, and folds (n,)."""
    random = np.random.default_rng(0)
    x = random.standard_normal((size.n, size.d), np.float32)
    weights = random.standard_normal((size.d, size.concepts), np.float32) / size.d**0.5
    z = x @ weights * random.random(size.concepts, np.float32) + random.standard_normal(
        (size.n, size.concepts), np.float32
    )
    return x, z, np.arange(size.n) % FOLDS


def contestants(
    x: np.ndarray, z: np.ndarray, fold: np.ndarray, device: str, peers: bool
) -> Iterator[Contestant]:
    """Yield ways to the R² of every concept: (K,) arrays."""
    xs = torch.from_numpy(x).to(device)
    zs = torch.from_numpy(z).to(device)
    division = torch.from_numpy(fold).to(device)
    yield Contestant("vinfo_mpi", lambda: ridge.r2(xs, zs, division, PENALTIES).r2)
    if not peers:
        return
    standard = StandardScaler().fit_transform(x)
    split = PredefinedSplit(fold)
    alphas = np.array(PENALTIES) * len(x) * (1 - 1 / FOLDS)

    def himalaya() -> np.ndarray:
        model = Himalaya(alphas=alphas, cv=split, fit_intercept=True, Y_in_cpu=False)
        model.fit(standard, z)
        # Its scores are negative mean squared errors.
        return 1 + np.asarray(model.cv_scores_) / z.var(0)

    yield Contestant("himalaya RidgeCV", himalaya)
    yield Contestant("scikit-learn RidgeCV", lambda: leave_one_out(standard, z, alphas))


def leave_one_out(x: np.ndarray, z: np.ndarray, alphas: np.ndarray) -> np.ndarray:
    """Return the R² of concepts by scikit-learn's leave-one-out search, a penalty per target."""
    model = RidgeCV(alphas=alphas, alpha_per_target=True, scoring=None).fit(x, z)
    return 1 + model.best_score_ / z.var(0)


def same(answers: dict[str, Any]) -> str:
    """Say how far the R² of the peers are from ours at most."""
    (_, ours), *peers = answers.items()
    differences = {name: float(np.abs(ours - r2.clip(min=0)).max()) for name, r2 in peers}
    assert all(value < AGREEMENT[name] for name, value in differences.items()), differences
    return ", ".join(f"R² within {value:.1g} of {name}" for name, value in differences.items())


def parts(name: str, x: np.ndarray, z: np.ndarray, fold: np.ndarray, options: Options) -> list[Row]:
    """Return the pass over the rows and the solution, each with its share of the limit."""
    n, d = x.shape
    concepts = z.shape[1]
    xs = torch.from_numpy(x).to(options.device)
    zs = torch.from_numpy(z).to(options.device)
    division = torch.from_numpy(fold).to(options.device)
    codes = FoldedCodes(FOLDS)

    def gather() -> Moments:
        moments = Moments(FOLDS, d, concepts, options.device)
        for start in range(0, n, ridge.ROWS):
            rows = slice(start, start + ridge.ROWS)
            moments.add_with(xs[rows], codes.take(zs[rows], division[rows]))
        return moments

    moments = gather()

    def solve() -> Moments:
        for held_out in range(FOLDS):
            ridge.errors(ridge.factorise(moments, held_out), moments, held_out, PENALTIES)
        return moments

    rate = limits.matrix_rate(torch.float64, options.device)
    products = 2.0 * n * d * (d + concepts)
    solutions = 2.0 * FOLDS * concepts * d * d * (2 + len(PENALTIES))
    return compare(
        name,
        [
            Contestant("moments", gather, products, rate),
            Contestant("solve", solve, solutions, rate),
        ],
        lambda answers: f"float64, {rate / 1e9:.0f} GFLOP/s",
        options.repeats,
    )


if __name__ == "__main__":
    main(__doc__, "v_information", cases)
