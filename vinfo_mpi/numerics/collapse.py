"""Neural collapse: how tightly, and how regularly, the features of the classes lie.

NC1 to NC4 are those of Papyan, Han and Donoho 2020, "Prevalence of neural collapse during the
terminal phase of deep learning training"; the class-distance normalised variance is that of
Galanti, György and Hutter 2022, "On the role of neural collapse in transfer learning". All are 0
where every class is a point and these points are the corners of a simplex.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vinfo_mpi.numerics.reduction import Reduce, identity

CUT = 1e-10  # singular values of the class means below this share of the largest are rounding


class Centres:
    """Numbers of images and sums of features, by class and fold; they add over batches and ranks.

    Attributes
    ----------
    sums : (C, F, d + 1) float64 tensor
        In the last column the number of images. One tensor: a single sum over the ranks.
    """

    def __init__(
        self, classes: int, folds: int, d: int, device: torch.device | str = "cpu"
    ) -> None:
        self.sums = torch.zeros(classes, folds, d + 1, dtype=torch.float64, device=device)

    def add(self, x: torch.Tensor, labels: torch.Tensor, fold: torch.Tensor) -> None:
        """Add a batch: features (B, d) float64, classes and folds (B,) int64."""
        ones = torch.ones(len(x), 1, dtype=torch.float64, device=x.device)
        folds = self.sums.shape[1]
        self.sums.flatten(0, 1).index_add_(0, labels * folds + fold, torch.cat([x, ones], 1))

    def reduced(self, reduce: Reduce = identity) -> Centres:
        """Turn the sums into those of all ranks' images, in place, and return them."""
        reduce(self.sums)
        return self

    @property
    def means(self) -> torch.Tensor:
        """Mean of every class: (C, d); 0 for one without images."""
        of_all = self.sums.sum(1)
        return of_all[:, :-1] / of_all[:, -1:].clamp(min=1)


class Scatter:
    """Products of features less the mean of their class; they add over batches and ranks.

    A second pass over the images: sums of products of what is left are exact where classes are
    tight.

    Parameters
    ----------
    centres : Centres
        Of all ranks' images.

    Attributes
    ----------
    products : (F, d, d) float64 tensor
        Sums of products of the residuals, by fold.
    squares : (C, F) float64 tensor
        Sums of their squared lengths, by class and fold.
    """

    def __init__(self, centres: Centres) -> None:
        sums = centres.sums
        classes, folds, width = sums.shape
        self.centres = centres
        self.means = centres.means
        self.products = sums.new_zeros(folds, width - 1, width - 1)
        self.squares = sums.new_zeros(classes, folds)

    def add(self, x: torch.Tensor, labels: torch.Tensor, rows_of_fold: list[torch.Tensor]) -> None:
        """Add a batch: features (B, d) float64, classes (B,), the rows of each fold, int64."""
        residuals = x - self.means[labels]
        squares = residuals.square().sum(1)
        for fold, rows in enumerate(rows_of_fold):
            of_fold = residuals[rows]
            self.products[fold].addmm_(of_fold.T, of_fold)
            self.squares[:, fold].index_add_(0, labels[rows], squares[rows])

    def reduced(self, reduce: Reduce = identity) -> Scatter:
        """Turn the sums into those of all ranks' images, in place, and return them."""
        reduce(self.products)
        reduce(self.squares)
        return self

    def without(self, fold: int | None) -> ClassMoments:
        """Return what all images say but those of one fold; None: of none."""
        kept = [number for number in range(self.squares.shape[1]) if number != fold]
        sums = self.centres.sums[:, kept].sum(1)
        n = sums[:, -1]
        means = sums[:, :-1] / n[:, None].clamp(min=1)
        # The means of fewer images are others, which the residuals have not been taken from.
        moved = torch.where(n[:, None] > 0, means - self.means, 0.0)
        products = self.products[kept].sum(0) - (n[:, None] * moved).T @ moved
        squares = self.squares[:, kept].sum(1) - n * moved.square().sum(1)
        there = n > 0
        return ClassMoments(n[there], means[there], products, squares[there], there)


@dataclass(frozen=True)
class ClassMoments:
    """Means of classes and what lies around them.

    Attributes
    ----------
    n : (C,) float64 tensor
        Images of each class that has any.
    means : (C, d) tensor
    products : (d, d) tensor
        Sum over the images of the products of their features less the mean of their class.
    squares : (C,) tensor
        Sums of their squared lengths.
    classes : bool tensor
        Which of all classes these are.
    """

    n: torch.Tensor
    means: torch.Tensor
    products: torch.Tensor
    squares: torch.Tensor
    classes: torch.Tensor


def measure(moments: ClassMoments, weight: torch.Tensor | None) -> dict[str, float]:
    """Return NC1, NC2 (norms, angles, both), NC3 and the class-distance normalised variance.

    Parameters
    ----------
    moments : ClassMoments
        Of at least two classes.
    weight : (C, d) float64 tensor, or None
        Of the linear head, a row per class of the data set; None: NC3 is NaN.
    """
    centred = moments.means - moments.means.mean(0)
    classes = len(centred)
    gram = centred @ centred.T
    norms = gram.diagonal().sqrt()
    angles = gram / torch.outer(norms, norms)
    simplex = torch.eye(classes).to(gram) - 1 / classes
    off = ~torch.eye(classes, dtype=torch.bool, device=gram.device)
    nc3 = float("nan")
    if weight is not None:
        rows = weight[moments.classes]
        nc3 = float((rows / rows.norm() - centred / centred.norm()).norm())
    return {
        "nc1": _variability(centred, moments.products / moments.n.sum()),
        "nc2_norms": float(norms.std(correction=0) / norms.mean()),
        "nc2_angles": float((angles[off] + 1 / (classes - 1)).abs().mean()),
        "nc2": float((gram / gram.norm() - simplex / simplex.norm()).norm()),
        "nc3": nc3,
        "cdnv": _distance_variance(moments, off),
    }


def nearest(x: torch.Tensor, means: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """Return the class whose mean is nearest to each image: (B,) int64.

    Parameters
    ----------
    x, means : (B, d), (C, d) float64 tensors
    there : (C,) bool tensor
        Classes that have images, hence a mean.
    """
    distances = means.square().sum(1) - 2 * x @ means.T
    return torch.where(there, distances, torch.inf).argmin(1)


def _variability(centred: torch.Tensor, within: torch.Tensor) -> float:
    """Return tr(Σ_W Σ_B⁺) / C, Σ_B of the class means with equal weights.

    With M = U s Vᵀ the centred means, Σ_B = Mᵀ M / C, so that it is the sum of vᵀ Σ_W v / s².
    """
    _, singular, right = torch.linalg.svd(centred, full_matrices=False)
    there = singular > CUT * singular.max()
    along = ((right @ within) * right).sum(1)
    return float((along[there] / singular[there].square()).sum())


def _distance_variance(moments: ClassMoments, off: torch.Tensor) -> float:
    """Return (Var_a + Var_b) / (2 ‖μ_a − μ_b‖²), mean over the pairs of classes."""
    variances = moments.squares / moments.n
    distances = torch.cdist(
        moments.means, moments.means, compute_mode="donot_use_mm_for_euclid_dist"
    ).square()
    return float(((variances[:, None] + variances)[off] / (2 * distances[off])).mean())
