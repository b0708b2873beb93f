"""Correlates of a factor of the images: concepts, importance, the label, correct decisions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from vinfo_mpi.numerics.reduction import Reduce

LEAST = 10  # images of a class and side from which its accuracy is compared with others'


class Products:
    """Sums over images of codes times factors, class by class; they add over batches and ranks.

    Parameters
    ----------
    classes, concepts, factors : int
    """

    def __init__(
        self, classes: int, concepts: int, factors: int, device: torch.device | str = "cpu"
    ) -> None:
        def zeros(*shape: int) -> torch.Tensor:
            return torch.zeros(shape, dtype=torch.float64, device=device)

        self.images = zeros(classes)
        self.codes = zeros(classes, concepts)
        self.factors = zeros(classes, factors)
        self.squares_of_codes = zeros(concepts)
        self.squares_of_factors = zeros(factors)
        self.both = zeros(factors, concepts)

    def add(self, codes: torch.Tensor, factors: torch.Tensor, labels: torch.Tensor) -> None:
        """Add a batch: (B, K), (B, F) float64 and (B,) int64."""
        self.images += torch.bincount(labels, minlength=len(self.images))
        self.codes.index_add_(0, labels, codes)
        self.factors.index_add_(0, labels, factors)
        self.squares_of_codes += codes.square().sum(0)
        self.squares_of_factors += factors.square().sum(0)
        self.both += factors.T @ codes

    def reduced(self, reduce: Reduce) -> Products:
        """Turn the sums into those of all ranks' images, in place, and return them."""
        for sums in vars(self).values():
            reduce(sums)
        return self

    def correlations(self) -> torch.Tensor:
        """Return Pearson's correlation of every factor and code: (F, K); NaN: one is constant."""
        n = self.images.sum()
        codes = self.codes.sum(0)
        factors = self.factors.sum(0)
        return _correlations(
            self.both - torch.outer(factors, codes) / n,
            self.squares_of_factors - factors.square() / n,
            self.squares_of_codes - codes.square() / n,
            self,
        )

    def correlations_within(self) -> torch.Tensor:
        """Return the same with the means of the classes taken off both."""
        n = self.images.clamp(min=1)[:, None]
        return _correlations(
            self.both - self.factors.T @ (self.codes / n),
            self.squares_of_factors - (self.factors.square() / n).sum(0),
            self.squares_of_codes - (self.codes.square() / n).sum(0),
            self,
        )

    def between_classes(self) -> torch.Tensor:
        """Return the share of each factor's variance that lies between the classes: (F,).

        Corrected for chance as Kelley's epsilon squared, 1 - (1 - η²)(N - 1) / (N - C), at least 0.
        Of a factor with two values η² is the square of Cramér's V.
        """
        n = self.images.sum()
        whole = self.squares_of_factors - self.factors.sum(0).square() / n
        within = self.squares_of_factors - (
            self.factors.square() / self.images.clamp(min=1)[:, None]
        ).sum(0)
        classes = (self.images > 0).sum()
        return (1 - within / whole * (n - 1) / (n - classes)).clamp(min=0)


def _correlations(
    products: torch.Tensor, factors: torch.Tensor, codes: torch.Tensor, sums: Products
) -> torch.Tensor:
    """Return centred products over the roots of centred squares; NaN where these are rounding."""
    spread_of_factors = torch.where(factors > 1e-12 * sums.squares_of_factors, factors, torch.nan)
    spread_of_codes = torch.where(codes > 1e-12 * sums.squares_of_codes, codes, torch.nan)
    return products / torch.outer(spread_of_factors.sqrt(), spread_of_codes.sqrt())


def sides(factors: np.ndarray) -> np.ndarray:
    """Return on which side of its middle every factor is: (N, F) to (N, F) bool.

    Of two values the larger is true; of more, what lies above the median.
    """
    result = np.empty(factors.shape, bool)
    for number, values in enumerate(factors.T):
        distinct = np.unique(values)
        middle = distinct[0] if len(distinct) == 2 else np.median(values)
        result[:, number] = values > middle
    return result


@dataclass
class RightAnswers:
    """Counts of images, and of correctly classified ones, by factor, side and class.

    Attributes
    ----------
    images : (F, 2, C) float64 tensor
        False first.
    right : (V, F, 2, C) float64 tensor
        In each of V ways of deciding.
    """

    images: torch.Tensor
    right: torch.Tensor

    @classmethod
    def empty(
        cls, ways: int, factors: int, classes: int, device: torch.device | str = "cpu"
    ) -> RightAnswers:
        """Return sums of nothing."""
        shape = (factors, 2, classes)
        images = torch.zeros(shape, dtype=torch.float64, device=device)
        return cls(images, images.new_zeros(ways, *shape))

    def add(self, sides: torch.Tensor, labels: torch.Tensor, right: torch.Tensor) -> None:
        """Add a batch: sides (B, F) and right (V, B, F), both bool; labels (B,) int64."""
        classes = self.images.shape[-1]
        of_class = torch.nn.functional.one_hot(labels, classes).double()
        for side, on_it in enumerate((~sides, sides)):
            self.images[:, side] += on_it.double().T @ of_class
            each = (right & on_it).double()
            self.right[:, :, side] += torch.einsum("vbf,bc->vfc", each, of_class)

    def reduced(self, reduce: Reduce) -> RightAnswers:
        """Turn the sums into those of all ranks' images, in place, and return them."""
        reduce(self.images)
        reduce(self.right)
        return self

    def accuracy(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the accuracy of every way on both sides, and its binomial error: (V, F, 2)."""
        n = self.images.sum(-1)
        share = self.right.sum(-1) / n
        return share.cpu().numpy(), torch.sqrt(share * (1 - share) / n).cpu().numpy()

    def gap(self) -> tuple[np.ndarray, np.ndarray]:
        """Return how much less accurate every way is where a factor is against the class: (V, F).

        A class has a usual side, that on which more of its images are than of all images. Within
        each class the accuracy on the other side is taken from that on the usual one; over classes
        these differences are averaged with the weights of Mantel and Haenszel, the product of both
        numbers of images over their sum. NaN: no class has images on both sides.

        Returns
        -------
        gap, error : (V, F) arrays
            Errors are binomial, from (right + 1) / (n + 2), so that none is 0.
        """
        n = self.images
        share_above = n[:, 1] / n.sum(1)
        usual_above = share_above > n[:, 1].sum(-1, keepdim=True) / n.sum((1, 2))[:, None]
        usual = usual_above.long()[:, None]  # (F, 1, C)
        numbers = torch.cat([n.gather(1, usual), n.gather(1, 1 - usual)], dim=1)
        index = torch.cat([usual, 1 - usual], dim=1).expand(len(self.right), -1, -1, -1)
        right = self.right.gather(2, index)
        weight = torch.where((numbers > 0).all(1), numbers.prod(1) / numbers.sum(1), 0.0)
        total = weight.sum(-1)
        difference = (right / numbers.clamp(min=1)).diff(dim=2)[:, :, 0].neg()
        smooth = (right + 1) / (numbers + 2)
        variance = (smooth * (1 - smooth) / numbers.clamp(min=1)).sum(2)
        gap = (weight * difference).sum(-1) / total
        error = (weight.square() * variance).sum(-1).sqrt() / total
        return gap.cpu().numpy(), error.cpu().numpy()

    def worst(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the lowest accuracy of a class on a side, in the first way.

        Among those with `LEAST` images; NaN and -1 where there are none.

        Returns
        -------
        accuracy, error, side, of_class : (F,) arrays
        """
        n = self.images.flatten(1)
        share = torch.where(n >= LEAST, self.right[0].flatten(1) / n, torch.inf)
        lowest, cell = share.min(1)
        known = lowest.isfinite()
        lowest = torch.where(known, lowest, torch.nan)
        smooth = (lowest * n.gather(1, cell[:, None])[:, 0] + 1) / (
            n.gather(1, cell[:, None])[:, 0] + 2
        )
        error = torch.sqrt(smooth * (1 - smooth) / n.gather(1, cell[:, None])[:, 0])
        classes = self.images.shape[-1]
        side = torch.where(known, cell // classes, -1)
        of_class = torch.where(known, cell % classes, -1)
        arrays = (lowest, error, side, of_class)
        return tuple(values.cpu().numpy() for values in arrays)  # type: ignore[return-value]


def carried(importance: np.ndarray, correlation: np.ndarray) -> np.ndarray:
    """Return the share of the importance that goes with each factor: Σ I_k r_k² / Σ I_k.

    Parameters
    ----------
    importance : (F, S, K) array
        On both sides of each factor.
    correlation : (F, K) array
        Of codes and factors; NaN where a code is constant.

    Returns
    -------
    (F, S) array
    """
    squares = np.nan_to_num(np.square(correlation))[:, None]
    return (importance * squares).sum(-1) / importance.sum(-1)
