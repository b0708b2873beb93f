"""Pointwise V-information: how much an image's activations tell of its own code.

After Ethayarajh, Choi & Swayamdipta 2022, "Understanding Dataset Difficulty with V-Usable
Information", for linear predictors with normal errors: the gain in log-likelihood over the mean,
with one variance for both, in units in which its mean over the images is the V-information:
((z - mean)² - (z - ẑ)²) / variance.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vinfo_mpi.numerics.moments import Moments
from vinfo_mpi.numerics.reduction import Reduce
from vinfo_mpi.numerics.ridge import TINY, Factor

IMAGES = 5  # of each concept, that are told of least


def predictors(
    factor: Factor, moments: Moments, held_out: int, penalty: torch.Tensor
) -> torch.Tensor:
    """Return weights and intercept of every concept, of the images that are not held out: (K, d+1).

    Parameters
    ----------
    factor : Factor
        Of the same images; see `vinfo_mpi.numerics.ridge.factorise`.
    moments : Moments
    held_out : int
        The fold that is left out.
    penalty : (K,) float64 tensor
        Of each concept, relative to the mean eigenvalue.
    """
    n = moments.n.sum() - moments.n[held_out]
    x = (moments.x.sum(0) - moments.x[held_out]) / n
    z = (moments.z.sum(0) - moments.z[held_out]) / n
    zx = (moments.zx.sum(1) - moments.zx[:, held_out]) / n
    cross = (zx - torch.outer(z, x)) @ factor.basis
    absolute = penalty[:, None] * factor.values.mean().clamp(min=TINY)
    weights = cross / (factor.values + absolute) @ factor.basis.T
    return torch.cat([weights, (z - weights @ x)[:, None]], dim=1)


def predicted(x: torch.Tensor, fold: torch.Tensor, of_folds: torch.Tensor) -> torch.Tensor:
    """Return what the predictors that have not learned from an image say of its codes: (B, K).

    Parameters
    ----------
    x : (B, d) float64 tensor
    fold : (B,) int64 tensor
    of_folds : (F, K, d+1) tensor
        From `predictors`, for each fold that is held out.
    """
    codes = x.new_empty(len(x), of_folds.shape[1])
    for number, of_fold in enumerate(of_folds):
        here = (fold == number).nonzero()[:, 0]
        codes[here] = x[here] @ of_fold[:, :-1].T + of_fold[:, -1]
    return codes


@dataclass
class Hardest:
    """Images of each concept whose code is told least, of all that were added.

    Attributes
    ----------
    gains, codes : (M, K) float64 tensors
        Their gains, ascending, and codes; infinite where there are fewer images.
    rows : (M, K) int64 tensor
        Their numbers; -1 where there are fewer.
    below : (K,) int64 tensor
        How many images have a gain below 0.
    """

    gains: torch.Tensor
    codes: torch.Tensor
    rows: torch.Tensor
    below: torch.Tensor

    @classmethod
    def empty(cls, concepts: int, device: torch.device | str = "cpu") -> Hardest:
        """Return room for the images of so many concepts."""
        infinite = torch.full((IMAGES, concepts), torch.inf, dtype=torch.float64, device=device)
        rows = torch.full((IMAGES, concepts), -1, dtype=torch.int64, device=device)
        return cls(infinite, infinite.clone(), rows, rows.new_zeros(concepts))

    def add(self, gains: torch.Tensor, codes: torch.Tensor, first: int) -> None:
        """Add a batch, (B, K) each, whose first image has the number `first`."""
        self.below += (gains < 0).sum(0)
        rows = torch.arange(first, first + len(gains), device=gains.device)
        self._keep(
            torch.cat([self.gains, gains]),
            torch.cat([self.codes, codes]),
            torch.cat([self.rows, rows[:, None].expand(gains.shape)]),
        )

    def join(self, concatenate: Reduce, add: Reduce) -> Hardest:
        """Return those of all ranks, whose images ascend.

        Parameters
        ----------
        concatenate, add : functions of a tensor
            Join along the first axis, and sum, over the ranks.
        """
        joined = Hardest(self.gains, self.codes, self.rows, add(self.below.clone()))
        joined._keep(concatenate(self.gains), concatenate(self.codes), concatenate(self.rows))
        return joined

    def _keep(self, gains: torch.Tensor, codes: torch.Tensor, rows: torch.Tensor) -> None:
        """Keep the least gains; of equal ones those that come first."""
        gains, order = gains.sort(dim=0, stable=True)
        count = len(self.gains)
        self.gains = gains[:count].contiguous()
        self.codes = codes.gather(0, order[:count])
        self.rows = rows.gather(0, order[:count])
