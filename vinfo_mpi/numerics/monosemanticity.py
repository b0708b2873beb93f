"""Likeness of the images that a concept is active in: the mean cosine of pairs of embeddings.

With weights a_i of the images and embeddings e_i of unit length, the mean over all pairs is

    Σ_{i<j} a_i a_j e_i·e_j / Σ_{i<j} a_i a_j = (|Σ a_i e_i|² - Σ a_i²) / ((Σ a_i)² - Σ a_i²),

sums over images in place of a loop over pairs. With codes scaled to [0, 1] as weights it is the
monosemanticity score of Pach et al. 2025, "Sparse Autoencoders Learn Monosemantic Features in
Vision-Language Models"; with 1 for the strongest n images and 0 for the others the clarity of
Dreyer et al. 2025, "Mechanistic understanding and validation of large AI models with SemanticLens".
"""

from __future__ import annotations

import numpy as np
import torch

from vinfo_mpi.numerics.reduction import Reduce, identity

ROUNDING = 1e-12  # a sum over pairs that is no more than this share of (Σ a)² is nothing


class Pairs:
    """Weighted sums of embeddings, by fold; they add over batches and ranks.

    Attributes
    ----------
    sums : (F, K, e + 2) float64 tensor
        Of weights times embeddings; in the last two columns of the weights, and of their squares.
        One tensor: a single sum over the ranks.
    """

    def __init__(
        self, folds: int, concepts: int, width: int, device: torch.device | str = "cpu"
    ) -> None:
        self.sums = torch.zeros(folds, concepts, width + 2, dtype=torch.float64, device=device)

    def add(self, weights: torch.Tensor, embeddings: torch.Tensor, fold: torch.Tensor) -> None:
        """Add a batch: weights (B, K), embeddings (B, e) of any length, folds (B,) int64.

        An image whose embedding is zero points nowhere, and does not count.
        """
        lengths = embeddings.norm(dim=1, keepdim=True)
        somewhere = lengths > 0
        units = embeddings / torch.where(somewhere, lengths, 1.0)
        rows = torch.cat([units, somewhere.to(units)], 1)
        for number in range(len(self.sums)):
            here = weights * (fold == number)[:, None]
            self.sums[number, :, :-1].addmm_(here.T, rows)
            self.sums[number, :, -1] += (here.square() * somewhere).sum(0)

    def reduced(self, reduce: Reduce = identity) -> Pairs:
        """Turn the sums into those of all ranks' images, in place, and return them."""
        reduce(self.sums)
        return self

    def similarity(self) -> np.ndarray:
        """Return the mean cosine over pairs: (K,); NaN for fewer than two images."""
        return _similarity(self.sums.sum(0))

    def without_folds(self) -> np.ndarray:
        """Return the same from all images but those of each fold: (F, K)."""
        of_all = self.sums.sum(0)
        return np.stack([_similarity(of_all - of_fold) for of_fold in self.sums])


def _similarity(sums: torch.Tensor) -> np.ndarray:
    weight = sums[:, -2]
    squares = sums[:, -1]
    pairs = weight.square() - squares
    pairs = torch.where(pairs > ROUNDING * weight.square(), pairs, torch.nan)
    return ((sums[:, :-2].square().sum(1) - squares) / pairs).cpu().numpy()


def scaled(codes: torch.Tensor, least: torch.Tensor, largest: torch.Tensor) -> torch.Tensor:
    """Return codes (B, K) scaled such that the least is 0 and the largest 1, (K,) each.

    NaN where both are the same.
    """
    return (codes - least) / torch.where(largest > least, largest - least, torch.nan)


def among(rows: range, chosen: torch.Tensor) -> torch.Tensor:
    """Return which of these rows are chosen for each concept, as 0 and 1: (B, K) float64.

    Parameters
    ----------
    rows : range
        Numbers of the rows of a batch.
    chosen : (M, K) int64 tensor
        Numbers of rows; -1: none.
    """
    here = (chosen >= rows.start) & (chosen < rows.stop)
    # What lies elsewhere goes into a last row, which is cut off.
    places = torch.where(here, chosen - rows.start, len(rows))
    member = chosen.new_zeros(len(rows) + 1, chosen.shape[1], dtype=torch.float64)
    return member.scatter_(0, places, 1.0)[:-1]
