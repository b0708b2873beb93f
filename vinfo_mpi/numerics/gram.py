"""Sums of products of several vectors per sample; means, covariances, principal axes from them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vinfo_mpi.numerics.reduction import Reduce, identity

# Eigenvalues below this share of the largest are dropped: a float64 Gram matrix is exact to about
# 1e-16 of its largest eigenvalue, so that eigenvectors scaled to unit variance are still
# orthonormal to better than 1e-6 at this share.
CUT = 1e-10


class Gram:
    """Sum over samples of v vᵀ with v = [1, vector 0, vector 1, ...], in float64.

    They add: of batches by `add`, of two parts of the data by ``+``, over ranks by `reduced`.

    Parameters
    ----------
    widths : sequence of int
        Variables of each vector.
    device : torch device

    Attributes
    ----------
    sums : (1 + Σ widths, 1 + Σ widths) tensor
        Sum of v vᵀ.
    """

    def __init__(self, widths: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.widths = tuple(widths)
        size = 1 + sum(self.widths)
        self.sums = torch.zeros(size, size, dtype=torch.float64, device=device)

    def add(self, *vectors: torch.Tensor) -> None:
        """Add a batch of samples: one (B, width) tensor for each vector.

        Means and covariances come out with an error of 1e-16 of the mean square. Where the mean is
        large against the spread, subtract a constant close to it first; means are then those of
        what is left.
        """
        ones = torch.ones(len(vectors[0]), 1, dtype=torch.float64, device=self.sums.device)
        v = torch.cat([ones, *(vector.double() for vector in vectors)], dim=1)
        self.sums.addmm_(v.T, v)

    def __add__(self, more: Gram) -> Gram:
        """Return the sums of both parts of the data together."""
        result = Gram(self.widths, self.sums.device)
        torch.add(self.sums, more.sums, out=result.sums)
        return result

    def reduced(self, reduce: Reduce = identity) -> Gram:
        """Turn the sums into those of all ranks' samples, in place, and return them."""
        reduce(self.sums)
        return self

    @property
    def n(self) -> int:
        """Number of samples."""
        return round(self.sums[0, 0].item())

    def mean(self, i: int) -> torch.Tensor:
        """Return the mean of vector i: (w_i,) tensor."""
        return self.sums[0, self._columns(i)] / self.sums[0, 0]

    def second(self, i: int, j: int) -> torch.Tensor:
        """Return the mean of a bᵀ, with vectors a = i and b = j, not centred: (w_i, w_j) tensor."""
        return self.sums[self._columns(i), self._columns(j)] / self.sums[0, 0]

    def covariance(self, i: int, j: int) -> torch.Tensor:
        """Return the covariance of vectors i and j, over n and not n - 1: (w_i, w_j) tensor."""
        return self.second(i, j) - torch.outer(self.mean(i), self.mean(j))

    def principal(self, i: int, centred: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the principal axes of vector i that have any variance, the largest first.

        Returns
        -------
        values, vectors : (r,), (w_i, r) tensors
            Eigenvalues and eigenvectors of the covariance if `centred`, else of the uncentred
            second moments.
        """
        second = self.second(i, i)
        return _eigenpairs(self.covariance(i, i) if centred else second, second.diagonal())

    def whitening(self, i: int) -> torch.Tensor:
        """Return A such that the columns of (vector i - mean) A are an orthonormal basis.

        Of the span of vector i, over the samples: Aᵀ covariance A = 1; and A Aᵀ is a generalised
        inverse of the covariance. Variables count in units of their root mean square, so that a
        rare one is not taken for none.

        Returns
        -------
        (w_i, r) tensor
            r is smaller than w_i where variables are constant or linearly dependent.
        """
        squares = self.second(i, i).diagonal()
        scale = torch.where(squares > 0, squares.rsqrt(), 0.0)
        scaled = scale[:, None] * self.covariance(i, i) * scale
        values, vectors = _eigenpairs(scaled, torch.ones_like(scale))
        return scale[:, None] * vectors / values.sqrt()

    def _columns(self, i: int) -> slice:
        start = 1 + sum(self.widths[:i])
        return slice(start, start + self.widths[i])


def _eigenpairs(matrix: torch.Tensor, squares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return eigenvalues and eigenvectors above rounding, the largest first.

    `squares` are the variables' mean squares.
    """
    values, vectors = torch.linalg.eigh(matrix)
    # What centring has left of a large mean is rounding as well, even where it is the largest
    # eigenvalue.
    significant = values > CUT * torch.cat([values, squares]).max()
    return values[significant].flip(0), vectors[:, significant].flip(1)
