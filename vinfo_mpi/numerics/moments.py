"""Sums over samples from which every regression of concepts on activations follows."""

from __future__ import annotations

import copy

import torch

from vinfo_mpi.numerics.reduction import Sum, itself

SQUARED = 128  # rows that are squared at once: they stay in the processor's cache


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

    @staticmethod
    def bytes(folds: int, d: int, concepts: int) -> int:
        """Return the memory that the sums take."""
        return 8 * folds * (1 + d + 2 * concepts + d * d + d * concepts)

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
        self.add_with(x, FoldedCodes(self.folds, products).of(z, fold))

    def add_with(self, x: torch.Tensor, codes: FoldedCodes) -> None:
        """Add the activations (B, d) that belong to a batch of codes, which may serve several taps."""
        x, xx, zx = codes.in_order(x), self.xx, self.zx
        self.n += codes.sizes
        self.z += codes.sums
        self.zz += codes.squares
        for index, (x_fold, z_fold) in enumerate(zip(x.split(codes.lengths), codes.rows.split(codes.lengths), strict=True)):
            self.x[index] += x_fold.sum(0, dtype=torch.float64)
            if x.dtype == torch.float64:
                xx[index].addmm_(x_fold.T, x_fold)
                zx[:, index].addmm_(z_fold.T, x_fold)
            else:
                xx[index] += x_fold.T @ x_fold
                zx[:, index] += z_fold.T @ x_fold

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
        result, columns = copy.copy(self), slice(mine.start, mine.stop)
        result.z, result.zz = self.z[:, columns], self.zz[:, columns]
        result.zx = scatter(self.zx)
        return result


class FoldedCodes:
    """A batch of codes in the order of their folds, in memory that the next batch uses again.

    Each fold is a view of neighbouring rows, which one matrix product takes whole.

    Parameters
    ----------
    folds : int
        Number of folds F.
    products : torch dtype
        Precision of the matrix products that codes and activations are prepared for.

    Attributes
    ----------
    rows : (B, K) tensor
    lengths : list of F int
        Rows of every fold.
    sizes, sums, squares : (F,), (F, K), (F, K) float64 tensors
        Number, sum and sum of squares of the rows of every fold.
    """

    rows: torch.Tensor
    lengths: list[int]
    sizes: torch.Tensor
    sums: torch.Tensor
    squares: torch.Tensor

    def __init__(self, folds: int, products: torch.dtype = torch.float64) -> None:
        self.folds, self.products = folds, products
        self._buffers: dict[str, torch.Tensor] = {}

    def of(self, z: torch.Tensor, fold: torch.Tensor) -> FoldedCodes:
        """Take the next batch, codes (B, K) and folds (B,); return this."""
        self._order = fold.argsort(stable=True)
        self.sizes = torch.bincount(fold, minlength=self.folds).double()
        self.lengths = self.sizes.int().tolist()
        self.rows = self._sorted("codes", z)
        self.sums, self.squares = torch.zeros(2, self.folds, z.shape[1], dtype=torch.float64, device=z.device)
        some = torch.empty(min(SQUARED, len(z)), z.shape[1], dtype=torch.float64, device=z.device)
        for index, part in enumerate(self.rows.split(self.lengths)):
            self.sums[index] = part.sum(0, dtype=torch.float64)
            for piece in part.split(SQUARED):
                self.squares[index] += some[: len(piece)].copy_(piece).square_().sum(0)
        return self

    def in_order(self, x: torch.Tensor) -> torch.Tensor:
        """Return the activations (B, d) of the batch in the order of the codes; until the next call."""
        return self._sorted("activations", x)

    def _sorted(self, name: str, values: torch.Tensor) -> torch.Tensor:
        if name not in self._buffers or self._buffers[name].numel() < values.numel():
            self._buffers[name] = torch.empty(values.numel(), dtype=self.products, device=values.device)
        rows = self._buffers[name][: values.numel()].view(values.shape)
        if values.dtype == rows.dtype:
            return torch.index_select(values, 0, self._order, out=rows)
        return rows.copy_(values[self._order])
