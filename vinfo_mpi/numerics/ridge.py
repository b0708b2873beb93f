"""Predictive V-information of linear predictors: held-out R² of ridge regression, from moments.

With linear-Gaussian predictors the V-information from activations x to a standardised code z is the
R² of the best linear predictor (Xu et al. 2020, "A Theory of Usable Information Under Computational
Constraints").

The algebra, for one fold held out, m and s the training mean and standard deviation of x:

- C = V diag(v) Vᵀ is the training covariance of (x - m) / s, and B = diag(1/s) V takes x - m into
  its eigenbasis.
- g = Bᵀ cov(x, z) over the training samples; the ridge weights in the eigenbasis, for the penalty
  a·mean(v), are w = g / (v + a·mean(v)), which is scikit-learn's ``Ridge(alpha=n·a·mean(v))`` on
  standardised x.
- over the held-out samples, with H = Bᵀ Σ(x - m)(x - m)ᵀ B and h = Bᵀ Σ(x - m)(z - z̄):
  Σ(z - ẑ)² = Σ(z - z̄)² - 2 wᵀh + wᵀH w, so that no prediction is ever formed.

Each covariance is diagonalised once for all penalties and concepts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from vinfo_mpi.numerics import folds as fold_division
from vinfo_mpi.numerics.moments import FoldedCodes, Moments

PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
# A variance below this share of the mean square is rounding: the variable is constant.
CONSTANT = 1e-13
TINY = torch.finfo(torch.float64).tiny
ROWS = 1024  # samples that are worked on at once
SHIFT_ROWS = 256  # samples whose mean is subtracted from all
# Elements of the weights that are formed at once. Few stay in a processor's cache, many keep a GPU
# busy.
BLOCK = {"cpu": 2**19, "cuda": 2**24}


@dataclass
class Factor:
    """The diagonalised covariance of a training set, and held-out second moments in its eigenbasis.

    Attributes
    ----------
    buffer : (d + 2 d²,) float64 tensor
        Behind all the others, so that a factor travels as one message.
    values : (d,) tensor
        Eigenvalues v.
    basis, held_out : (d, d) tensors
        B and H.
    """

    buffer: torch.Tensor

    def __post_init__(self) -> None:
        d = round(((1 + 8 * len(self.buffer)) ** 0.5 - 1) / 4)
        self.values, basis, held_out = self.buffer.split([d, d * d, d * d])
        self.basis = basis.view(d, d)
        self.held_out = held_out.view(d, d)

    @classmethod
    def empty(cls, d: int, device: torch.device | str = "cpu") -> Factor:
        """Return a factor for d variables that is still to be filled."""
        return cls(torch.zeros(d + 2 * d * d, dtype=torch.float64, device=device))


def splits(folds: int, estimator: Literal["held-out", "in-sample"]) -> list[int | None]:
    """Return what is held out in turn: each fold, or nothing (train and test on all)."""
    return [None] if estimator == "in-sample" else list(range(folds))


def half_of_folds(folds: int) -> int:
    """Return how many folds are learned from when half of the images are: of F - 1 that are."""
    return (folds - 1) // 2


def half(moments: Moments, held_out: int | None) -> tuple[Moments, int]:
    """Return the moments of a fold that is held out, first, and of the half that is learned from.

    They come from neighbouring folds. With F folds the scores that follow are those of about N/2
    images, exactly of N half_of_folds(F) / (F - 1).
    """
    if held_out is None:
        raise ValueError("half of the folds: in-sample there are none")
    learning = range(held_out + 1, held_out + 1 + half_of_folds(moments.folds))
    return moments.of_folds([held_out, *(fold % moments.folds for fold in learning)]), 0


def factorise(moments: Moments, held_out: int | None) -> Factor:
    """Diagonalise the covariance of all folds but one.

    For None, of all folds, which are then also the test set.
    """
    n, n_test = _train_and_test(moments.n, held_out)
    x, x_test = _train_and_test(moments.x, held_out)
    xx, xx_test = _train_and_test(moments.xx, held_out)
    mean = x / n
    covariance = xx / n - torch.outer(mean, mean)
    variance = covariance.diagonal()
    alive = variance > CONSTANT * xx.diagonal() / n
    scale = torch.where(alive, variance.clamp(min=TINY).rsqrt(), 0.0)
    values, vectors = torch.linalg.eigh(scale[:, None] * covariance * scale)
    basis = scale[:, None] * vectors
    cross = torch.outer(x_test, mean)
    centred = xx_test - cross - cross.T + n_test * torch.outer(mean, mean)
    factor = Factor.empty(len(values), values.device)
    factor.values.copy_(values.clamp(min=0))
    factor.basis.copy_(basis)
    factor.held_out.copy_(basis.T @ centred @ basis)
    return factor


def errors(
    factor: Factor, moments: Moments, held_out: int | None, penalties: tuple[float, ...]
) -> torch.Tensor:
    """Return the sum of squared held-out errors of every penalty and concept: (penalties, K)."""
    n, n_test = _train_and_test(moments.n, held_out)
    x, x_test = _train_and_test(moments.x, held_out)
    z, z_test = _train_and_test(moments.z, held_out)
    _, zz_test = _train_and_test(moments.zz, held_out)
    x_mean = x / n
    z_mean = z / n
    spread = zz_test - 2 * z_mean * z_test + n_test * z_mean.square()
    relative = torch.tensor(penalties, dtype=torch.float64, device=n.device)[:, None]
    penalty = relative * factor.values.mean().clamp(min=TINY)
    inverse = 1 / (factor.values + penalty)  # (penalties, d)

    d = len(x_mean)
    concepts = len(z_mean)
    device = z_mean.device
    result = torch.empty(len(penalties), concepts, dtype=torch.float64, device=device)
    size = max(1, min(concepts, BLOCK[device.type] // d))
    weights, image = torch.empty(2, size, d, dtype=torch.float64, device=device)
    for start in range(0, concepts, size):
        block = slice(start, min(start + size, concepts))
        zx, zx_test = _train_and_test(moments.zx[block], held_out, axis=1)
        m = z_mean[block, None]
        train_cross = (zx / n - m * x_mean) @ factor.basis
        twice_test_cross = (
            2 * (zx_test - m * x_test - z_test[block, None] * x_mean + n_test * m * x_mean)
        ) @ factor.basis
        w = weights[: len(m)]
        image_of_w = image[: len(m)]
        for row, inverse_of_penalty in enumerate(inverse):
            torch.mul(train_cross, inverse_of_penalty, out=w)
            torch.mm(w, factor.held_out, out=image_of_w)
            # wᵀHw - 2 wᵀh = Σ w (Hw - 2h)
            torch.sum(image_of_w.sub_(twice_test_cross).mul_(w), 1, out=result[row, block])
        result[:, block] += spread[block]
    return result


@dataclass
class Scores:
    """V-information of K concepts at one tap.

    Attributes
    ----------
    r2 : (K,) float64 array
        V-information, in [0, 1]; NaN for a concept without variance.
    penalty : (K,) float64 array
        The penalty that was best on the held-out samples.
    without : (F, K) float64 array
        The same R² with one fold left out of the test samples, for the jackknife.
    alive : (K,) bool array
        Whether the concept varies at all.
    variance : (K,) float64 array
        Of the code, over all samples.
    """

    r2: np.ndarray
    penalty: np.ndarray
    without: np.ndarray
    alive: np.ndarray
    variance: np.ndarray


def finish(squared: torch.Tensor, moments: Moments, penalties: tuple[float, ...]) -> Scores:
    """Choose the best penalty of each concept and turn squared errors into R².

    Parameters
    ----------
    squared : (splits, penalties, K) tensor
        From `errors`, in the order of `splits`.
    """
    best = squared.sum(0).argmin(0)  # (K,)
    errors_best = squared.gather(1, best.expand(len(squared), 1, -1))[:, 0]  # (splits, K)
    n = moments.n.sum()
    z = moments.z.sum(0)
    zz = moments.zz.sum(0)
    spread = zz - z.square() / n
    alive = spread > CONSTANT * zz
    r2 = _explained(errors_best.sum(0), spread, alive)
    if len(squared) == 1:  # in-sample: there are no folds to leave out
        without = torch.full_like(errors_best, torch.nan)
    else:
        n_without = (n - moments.n)[:, None]
        spread_without = (zz - moments.zz) - (z - moments.z).square() / n_without
        without = _explained(errors_best.sum(0) - errors_best, spread_without, alive)
    penalty = torch.tensor(penalties, dtype=torch.float64, device=best.device)[best]
    variance = torch.where(alive, spread / n, 0.0)
    results = (r2, penalty, without, alive, variance)
    return Scores(*(values.cpu().numpy() for values in results))


def r2(
    x: np.ndarray | torch.Tensor,
    z: np.ndarray | torch.Tensor,
    fold: np.ndarray | torch.Tensor | int = 5,
    penalties: tuple[float, ...] = PENALTIES,
    estimator: Literal["held-out", "in-sample"] = "held-out",
    products: torch.dtype = torch.float64,
) -> Scores:
    """Return the V-information from activations to every code.

    Parameters
    ----------
    x, z : (N, d), (N, K) arrays or tensors
        Activations and codes, on the CPU or a GPU.
    fold : (N,) integer array or tensor, or int
        Fold of each sample, or how many folds to make.
    penalties : tuple of float
        Ridge penalties to choose from, relative to the mean eigenvalue of the standardised
        covariance.
    estimator : str
        ``held-out``: cross-validated; ``in-sample``: trained and tested on all samples, which
        inflates by about d/N.
    products : torch dtype
        Precision of the matrix products.
    """
    xs = torch.as_tensor(x)
    zs = torch.as_tensor(z)
    if isinstance(fold, int):
        fold = fold_division.assign(np.arange(len(xs)), np.zeros(len(xs)), fold)
    division = torch.as_tensor(fold, device=xs.device)
    moments = Moments(int(division.max()) + 1, xs.shape[1], zs.shape[1], xs.device)
    shift_x = xs[:SHIFT_ROWS].mean(0, dtype=torch.float64).to(xs.dtype)
    shift_z = zs[:SHIFT_ROWS].mean(0, dtype=torch.float64).to(zs.dtype)
    codes = FoldedCodes(moments.folds, products)
    for start in range(0, len(xs), ROWS):
        rows = slice(start, start + ROWS)
        moments.add_with(xs[rows] - shift_x, codes.take(zs[rows] - shift_z, division[rows]))
    squared = [
        errors(factorise(moments, held_out), moments, held_out, penalties)
        for held_out in splits(moments.folds, estimator)
    ]
    return finish(torch.stack(squared), moments, penalties)


def _train_and_test(
    sums: torch.Tensor, held_out: int | None, axis: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the sums of training and test samples, from sums per fold along the axis."""
    total = sums.sum(axis)
    if held_out is None:
        return total, total
    test = sums.select(axis, held_out)
    return total - test, test


def _explained(errors: torch.Tensor, spread: torch.Tensor, alive: torch.Tensor) -> torch.Tensor:
    # V contains the constant predictor: worse than the mean counts as 0.
    return torch.where(alive, (1 - errors / spread).clamp(min=0), torch.nan)
