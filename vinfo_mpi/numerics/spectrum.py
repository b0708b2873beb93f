"""Eigenfunctions of the feature map: how well they fit the task, how much the network uses them.

After Nam, Mingard, Lee, Hayou, Louis 2024, "Visualising Feature Learning in Deep Neural Networks by
Diagonalizing the Forward Feature Map" (arXiv 2410.04264). With features Φ, T = (1/N) Σ Φ(x) Φ(x)ᵀ
has eigenvalues ρ_k and eigenvectors v_k; the eigenfunctions e_k(x) = Φ(x)·v_k / √ρ_k are
orthonormal over the samples. All norms and projections are over the samples, and follow from the
Gram matrix of features, outputs and targets. Where eigenvalues coincide, only sums over their
eigenfunctions mean anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vinfo_mpi.numerics.gram import Gram

FEATURES, OUTPUTS, TARGETS = range(3)
USED = 0.9  # share of the utilisation that the significant eigenfunctions hold together
FOLDS = 5  # parts of the samples that are left out in turn, for standard errors
ROUNDING = 1e-6  # taken off that share, so that a tie is decided alike on any number of ranks


@dataclass
class Spectrum:
    """Spectrum of the feature map of one network.

    Attributes
    ----------
    eigenvalues : (r,) float64 tensor
        ρ_k, the largest first, without those below `gram.CUT` of the largest.
    quality : (r,) float64 tensor
        Q*_k = ||P_H* e_k||² in [0, 1], H* the span of the one-hot targets (and with them the
        constant).
    utilisation : (r,) float64 tensor
        Q̂_k = ||P_Ĥ e_k||² in [0, 1], Ĥ the span of the outputs and the constant.
    dimension : int
        Dimension of Ĥ: number of outputs + 1, or less where outputs are constant or linearly
        dependent.
    classes : int
        Number of outputs C.
    laziness : float
        D_LR = 1 - CKA(T, T_MP), T_MP the projection on Ĥ: 0 = rich, 1 = lazy; NaN if features or
        outputs are constant.
    """

    eigenvalues: torch.Tensor
    quality: torch.Tensor
    utilisation: torch.Tensor
    dimension: int
    classes: int
    laziness: float

    @property
    def effective_dimension(self) -> float:
        """exp(-Σ p_k ln p_k) with p_k = ρ_k / Σρ, in 1 .. r."""
        return torch.special.entr(self.eigenvalues / self.eigenvalues.sum()).sum().exp().item()

    @property
    def significant(self) -> int:
        """Number of leading eigenfunctions that hold 90 % of the utilisation."""
        cumulated = self.utilisation.cumsum(0)
        return int((cumulated < (USED - ROUNDING) * self.utilisation.sum()).sum()) + 1

    @property
    def minimal(self) -> bool:
        """Whether no more eigenfunctions are significant than Ĥ has dimensions.

        Otherwise the features are extended.
        """
        return self.significant <= self.dimension

    @property
    def cumulated_quality(self) -> torch.Tensor:
        """Sum of the quality of the first k eigenfunctions, over C: (r,) tensor."""
        return self.quality.cumsum(0) / self.classes

    @property
    def cumulated_utilisation(self) -> torch.Tensor:
        """Sum of the utilisation of the first k eigenfunctions, over C: (r,) tensor."""
        return self.utilisation.cumsum(0) / self.classes


def from_gram(gram: Gram) -> Spectrum:
    """Return the spectrum from the Gram of features Φ, outputs and one-hot targets, in this order.

    The features must be the true ones, as T is not centred. From the outputs any constant may be
    subtracted.
    """
    values, vectors = gram.principal(FEATURES, centred=False)
    functions = vectors / values.sqrt()  # e_k = Φ · functions[:, k]
    constant = (gram.mean(FEATURES) @ functions).square()
    outputs = gram.whitening(OUTPUTS).T @ gram.covariance(OUTPUTS, FEATURES)
    targets = gram.whitening(TARGETS).T @ gram.covariance(TARGETS, FEATURES)
    quality = constant + (targets @ functions).square().sum(0)
    utilisation = constant + (outputs @ functions).square().sum(0)
    # Centred, T_MP is a projection on `rank` orthonormal functions: ||T_MP||_F = √rank.
    rank = len(outputs)
    size = gram.covariance(FEATURES, FEATURES).norm() * rank**0.5
    laziness = 1 - (outputs.square().sum() / size).item()
    return Spectrum(values, quality, utilisation, 1 + rank, gram.widths[OUTPUTS], laziness)
