"""Sums over samples from which every regression of concepts on activations follows."""

from __future__ import annotations

import torch

from vinfo_mpi.numerics.sums import Sum, itself


class Moments:
    """First and second moments of activations x and codes z, fold by fold, in float64.

    They add: of batches by `add`, of two parts of the data by ``+``, over ranks by `reduced`.

    Attributes
    ----------
    n : (F,) tensor
        Samples.
    x, z, zz : (F, d), (F, K), (F, K) tensors
        Sums of x, z and z squared.
    xx : (F, d, d) tensor
        Sum of x xᵀ.
    zx : (K, F, d) tensor
        Sum of z xᵀ, concepts first so that a block of concepts is contiguous.
    """

    def __init__(self, folds: int, d: int, concepts: int, device: torch.device | str = "cpu") -> None:
        sizes = [folds, folds * d, folds * concepts, folds * concepts, folds * d * d]
        # One buffer behind all that every rank needs: a single sum over the ranks.
        self.shared = torch.zeros(sum(sizes), dtype=torch.float64, device=device)
        n, x, z, zz, xx = self.shared.split(sizes)
        self.n, self.x, self.xx = n, x.view(folds, d), xx.view(folds, d, d)
        self.z, self.zz = z.view(folds, concepts), zz.view(folds, concepts)
        self.zx = torch.zeros(concepts, folds, d, dtype=torch.float64, device=device)
        self._buffers: dict[str, torch.Tensor] = {}

    @property
    def folds(self) -> int:
        """Number of folds F."""
        return len(self.n)

    def add(self, x: torch.Tensor, z: torch.Tensor, fold: torch.Tensor, products: torch.dtype = torch.float64) -> None:
        """Add a batch of samples.

        Parameters
        ----------
        x, z : (B, d), (B, K) tensors
            Activations and codes. Subtract a constant close to the mean first: it leaves R² as it is and keeps the
            products of data far from zero exact.
        fold : (B,) integer tensor
            Fold of each sample.
        products : torch dtype
            Precision of the matrix products; the sums are float64 in any case.
        """
        # Rows of a fold next to each other, once: each fold is then a view, and one product takes it whole.
        order, sizes = fold.argsort(stable=True), torch.bincount(fold, minlength=self.folds).tolist()
        x, z = self._sorted("x", x, order, products), self._sorted("z", z, order, products)
        for index, (x_fold, z_fold) in enumerate(zip(x.split(sizes), z.split(sizes), strict=True)):
            self.n[index] += len(x_fold)
            self.x[index] += x_fold.sum(0, dtype=torch.float64)
            self.z[index] += z_fold.sum(0, dtype=torch.float64)
            if products == torch.float64:
                self.xx[index].addmm_(x_fold.T, x_fold)
                self.zx[:, index].addmm_(z_fold.T, x_fold)
            else:
                self.xx[index] += x_fold.T @ x_fold
                self.zx[:, index] += z_fold.T @ x_fold
            self.zz[index] += z_fold.square_().sum(0, dtype=torch.float64)  # in place: z is not needed again

    def _sorted(self, name: str, values: torch.Tensor, order: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Return a copy of the rows in this order, in a buffer that is used again for the next batch."""
        held = self._buffers.get(name)
        if held is None or len(held) < len(values) or held.dtype != dtype:
            held = self._buffers[name] = torch.empty(values.shape, dtype=dtype, device=values.device)
        rows = held[: len(values)]
        if values.dtype == dtype:
            return torch.index_select(values, 0, order, out=rows)
        return rows.copy_(values[order])

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of both parts of the data together."""
        result = Moments(self.folds, self.x.shape[1], self.z.shape[1], self.shared.device)
        torch.add(self.shared, other.shared, out=result.shared)
        torch.add(self.zx, other.zx, out=result.zx)
        return result

    def reduced(self, total: Sum = itself, scatter: Sum = itself, mine: range | None = None) -> Moments:
        """Return the moments of all ranks' samples, for this rank's concepts.

        Parameters
        ----------
        total : function of a tensor
            Sums over the ranks, in place.
        scatter : function of a tensor
            Sums over the ranks and returns this rank's block of the first axis.
        mine : range
            This rank's concepts; default: all of them.
        """
        total(self.shared)
        mine = range(len(self.zx)) if mine is None else mine
        result = Moments(self.folds, self.x.shape[1], len(mine), self.shared.device)
        columns = slice(mine.start, mine.stop)
        result.n, result.x, result.xx = self.n, self.x, self.xx
        result.z, result.zz = self.z[:, columns], self.zz[:, columns]
        result.zx = scatter(self.zx)
        return result
