"""Debiased linear CKA of two representations of the same images, from sums over images.

The unbiased HSIC of Song et al. 2012, "Feature Selection via Dependence Maximization", eq. 5, in
CKA as in Nguyen et al. 2021, "Do Wide and Deep Networks Learn the Same Things?": with few images
the plain CKA of two unrelated wide representations is near 1, this one near 0. With linear kernels
of centred rows x and y, whose sums are zero, it needs neither kernel matrix:

(n (n - 3)) HSIC = ||XᵀY||² - c + a b / ((n - 1) (n - 2)) - 2 c / (n - 2)

where a = sum |x|², b = sum |y|² and c = sum |x|² |y|². It does not depend on where rows are
centred; centred ones lose no digits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

FEWEST = 4  # images: the unbiased HSIC needs at least these


class Hsic:
    """Sums over images for the HSIC of two centred representations, of `d` and `e` channels."""

    def __init__(self, d: int, e: int, device: torch.device | None = None) -> None:
        options = {"dtype": torch.float64, "device": device}
        self.cross = torch.zeros(d, e, **options)  # type: ignore[arg-type]
        self.sizes = torch.zeros(4, **options)  # type: ignore[arg-type]

    @staticmethod
    def bytes(d: int, e: int) -> int:
        """Return the bytes of the sums."""
        return 8 * (d * e + 4)

    def add(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """Add images: x (n, d) and y (n, e), float64, less the means over all images."""
        self.cross += x.T @ y
        of_x = x.square().sum(1)
        of_y = y.square().sum(1)
        n = of_x.new_tensor(float(len(x)))
        self.sizes += torch.stack([n, of_x.sum(), of_y.sum(), (of_x * of_y).sum()])

    def reduced(self, total: Callable[[torch.Tensor], torch.Tensor]) -> float:
        """Return the unbiased HSIC of all ranks' images, NaN of fewer than 4.

        Parameters
        ----------
        total : function
            Adds a tensor over ranks.
        """
        cross = total(self.cross)
        n, a, b, c = total(self.sizes).tolist()
        if n < FEWEST:
            return float("nan")
        squared = float(cross.square().sum())
        return (squared - c + a * b / ((n - 1) * (n - 2)) - 2 * c / (n - 2)) / (n * (n - 3))


def cka(of_both: float, of_first: float, of_second: float) -> float:
    """Return the debiased CKA from the HSIC of both and of each with itself.

    It is at most 1, exactly 1 of a representation with itself, about 0 (of either sign) of
    unrelated ones, and NaN where one of them is constant.
    """
    size = of_first * of_second
    return of_both / size**0.5 if of_first > 0 and of_second > 0 else float("nan")
