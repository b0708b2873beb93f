"""How much a decision rests on a concept: gradient times input, share of the logit's variance."""

from __future__ import annotations

import torch


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

    def add(self, codes: torch.Tensor, slopes: torch.Tensor) -> None:
        """Add a batch: codes and derivatives along the atoms, both (B, K)."""
        contribution = codes * slopes
        self.sums[0] += contribution.abs().sum(0)
        self.sums[1] += contribution.sum(0)
        self.sums[2] += variance_shares(contribution).sum(0)


def variance_shares(contribution: torch.Tensor) -> torch.Tensor:
    """Return the total Sobol index of concepts that are masked independently: (B, K) to (B, K).

    The logit Σ_k m_k c_k is linear in independent masks m of equal variance, so that concept k has
    c_k² / Σ_j c_j² of its variance, first-order and total index alike. A sample without any
    contribution gives no share.
    """
    squares = contribution.square()
    total = squares.sum(1, keepdim=True)
    return torch.where(total > 0, squares / total.clamp(min=torch.finfo(squares.dtype).tiny), 0.0)
