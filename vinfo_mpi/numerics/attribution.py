"""Importance of a concept for a decision: gradient times input, share of the logit's variance."""

from __future__ import annotations

import numpy as np
import torch

from vinfo_mpi.numerics.profiles import Profiles
from vinfo_mpi.numerics.reduction import Reduce, identity


class Attribution:
    """Sums over samples of concept contributions to a logit; they add over batches and ranks.

    The contribution of concept k to the logit of sample i is z_ik a_ik, with a_ik the derivative of
    the logit along atom k. For a linear head with weights w this is z_ik (d_k · w_c), exactly the
    concept's part of the logit.

    Attributes
    ----------
    sums : (3, K) float64 tensor
        Sums of |contribution|, of contribution, and of the share of the logit's variance.
    """

    def __init__(self, concepts: int, device: torch.device | str = "cpu") -> None:
        self.sums = torch.zeros(3, concepts, dtype=torch.float64, device=device)

    def add(self, contribution: torch.Tensor) -> None:
        """Add a batch: codes times derivatives along the atoms, (B, K)."""
        self.sums[0] += contribution.abs().sum(0)
        self.sums[1] += contribution.sum(0)
        self.sums[2] += variance_shares(contribution).sum(0)


class ClassAttribution:
    """Sums of |contribution| and of its square, class by class; they add over batches and ranks.

    The contribution is that of `Attribution`.
    """

    def __init__(self, classes: int, concepts: int, device: torch.device | str = "cpu") -> None:
        self.sums = Profiles(classes, 2 * concepts, device)

    def add(self, codes: torch.Tensor, slopes: torch.Tensor, labels: torch.Tensor) -> None:
        """Add a batch: codes and derivatives along the atoms, both (B, K); classes (B,) int64."""
        contribution = (codes * slopes).abs()
        self.sums.add(torch.cat([contribution, contribution.square()], dim=1), labels)

    def reduced(self, reduce: Reduce = identity) -> ClassAttribution:
        """Turn the sums into those of all ranks' images, in place, and return them."""
        self.sums.reduced(reduce)
        return self

    def importance(self, groups: np.ndarray | torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Return the importance of every concept for the images of super-classes.

        Parameters
        ----------
        groups : (C,) int64 array or tensor
            The super-class 0 .. S-1 of each class.

        Returns
        -------
        mean, error : (S, K) float64 arrays
            Mean |contribution| over the images, in logits, and its standard error over them. NaN:
            a super-class without images has no mean, one with a single image no error.
        """
        merged = self.sums.merged(groups)
        mean, square = np.split(merged.means(), 2, axis=1)
        others = merged.sums[:, -1:].cpu().numpy() - 1
        variance = (square - mean**2).clip(min=0)
        return mean, np.sqrt(variance / np.where(others > 0, others, np.nan))


def variance_shares(contribution: torch.Tensor) -> torch.Tensor:
    """Return the total Sobol index of concepts that are masked independently: (B, K) to (B, K).

    The logit Σ_k m_k c_k is linear in independent masks m of equal variance, so that concept k has
    c_k² / Σ_j c_j² of its variance, first-order and total index alike. A sample without any
    contribution gives no share.
    """
    squares = contribution.square()
    total = squares.sum(1, keepdim=True)
    return torch.where(total > 0, squares / total.clamp(min=torch.finfo(squares.dtype).tiny), 0.0)
