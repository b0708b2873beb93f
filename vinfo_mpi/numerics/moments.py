"""Sums over samples from which every regression of concepts on activations follows."""

from __future__ import annotations

import copy

import torch

from vinfo_mpi.numerics.reduction import Reduce, identity

# Rows that are squared at once: what stays in a processor's cache, many on a GPU.
SQUARED = {"cpu": 128, "cuda": 2**13}


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

    def __init__(
        self, folds: int, d: int, concepts: int, device: torch.device | str = "cpu"
    ) -> None:
        sizes = [folds, folds * d, folds * concepts, folds * concepts, folds * d * d]
        # One buffer behind all that every rank needs: a single sum over the ranks.
        self.shared = torch.zeros(sum(sizes), dtype=torch.float64, device=device)
        n, x, z, zz, xx = self.shared.split(sizes)
        self.n = n
        self.x = x.view(folds, d)
        self.z = z.view(folds, concepts)
        self.zz = zz.view(folds, concepts)
        self.xx = xx.view(folds, d, d)
        self.zx = torch.zeros(concepts, folds, d, dtype=torch.float64, device=device)

    @staticmethod
    def bytes(folds: int, d: int, concepts: int) -> int:
        """Return the memory that the sums take."""
        return 8 * folds * (1 + d + 2 * concepts + d * d + d * concepts)

    @property
    def folds(self) -> int:
        """Number of folds F."""
        return len(self.n)

    def add(
        self,
        x: torch.Tensor,
        z: torch.Tensor,
        fold: torch.Tensor,
        products: torch.dtype = torch.float64,
    ) -> None:
        """Add a batch of samples.

        Parameters
        ----------
        x, z : (B, d), (B, K) tensors
            Activations and codes. Subtract a constant close to the mean first: it leaves R² as it
            is and keeps the products of data far from zero exact.
        fold : (B,) integer tensor
            Fold of each sample.
        products : torch dtype
            Precision of the matrix products; the sums are float64 in any case.
        """
        self.add_with(x, FoldedCodes(self.folds, products).take(z, fold))

    def add_with(self, x: torch.Tensor, codes: FoldedCodes) -> None:
        """Add activations (B, d) that belong to a batch of codes, which may serve several taps."""
        x = codes.in_order(x)
        xx = self.xx
        zx = self.zx
        self.n += codes.sizes
        self.z += codes.sums
        self.zz += codes.squares
        by_fold = zip(x.split(codes.lengths), codes.rows.split(codes.lengths), strict=True)
        for index, (x_fold, z_fold) in enumerate(by_fold):
            self.x[index] += x_fold.sum(0, dtype=torch.float64)
            if x.dtype == torch.float64:
                xx[index].addmm_(x_fold.T, x_fold)
                zx[:, index].addmm_(z_fold.T, x_fold)
            else:
                xx[index] += x_fold.T @ x_fold
                zx[:, index] += z_fold.T @ x_fold

    def __add__(self, more: Moments) -> Moments:
        """Return the moments of both parts of the data together."""
        result = Moments(self.folds, self.x.shape[1], self.z.shape[1], self.shared.device)
        torch.add(self.shared, more.shared, out=result.shared)
        torch.add(self.zx, more.zx, out=result.zx)
        return result

    def outlier_severity(self, shift: torch.Tensor) -> float:
        """Return the length of the mean vector over that of the standard deviations.

        Far above 1, all vectors point almost the same way, and a dictionary has little else to
        tell them apart by.

        Parameters
        ----------
        shift : (d,) tensor
            What was subtracted from the activations.
        """
        n = self.n.sum()
        mean = self.x.sum(0) / n
        variance = self.xx.sum(0).diagonal() / n - mean.square()
        return ((mean + shift).norm() / variance.clamp(min=0).sum().sqrt()).item()

    def of_channels(self, channels: torch.Tensor) -> Moments:
        """Return the moments of some of the channels: (d,) bool tensor. They cannot be reduced."""
        index = channels.nonzero()[:, 0].to(self.x.device)
        result = copy.copy(self)
        result.x = self.x[:, index]
        result.xx = self.xx[:, index[:, None], index]
        result.zx = self.zx[:, :, index]
        return result

    def of_folds(self, folds: list[int]) -> Moments:
        """Return the moments of some of the folds, in this order. They cannot be reduced."""
        result = copy.copy(self)
        result.n = self.n[folds]
        result.x = self.x[folds]
        result.z = self.z[folds]
        result.zz = self.zz[folds]
        result.xx = self.xx[folds]
        result.zx = self.zx[:, folds]
        return result

    def reduced(
        self,
        reduce: Reduce = identity,
        reduce_scatter: Reduce = identity,
        concepts: range | None = None,
    ) -> Moments:
        """Return the moments of all ranks' samples, for this rank's concepts.

        Parameters
        ----------
        reduce : function of a tensor
            Sums over the ranks, in place.
        reduce_scatter : function of a tensor
            Sums over the ranks and returns this rank's block of the first axis.
        concepts : range
            This rank's concepts; default: all of them.
        """
        reduce(self.shared)
        concepts = range(len(self.zx)) if concepts is None else concepts
        columns = slice(concepts.start, concepts.stop)
        result = copy.copy(self)
        result.z = self.z[:, columns]
        result.zz = self.zz[:, columns]
        result.zx = reduce_scatter(self.zx)
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
        self.folds = folds
        self.products = products
        self._buffers: dict[str, torch.Tensor] = {}

    def take(self, z: torch.Tensor, fold: torch.Tensor) -> FoldedCodes:
        """Take the next batch, codes (B, K) and folds (B,); return this."""
        self._order = fold.argsort(stable=True)
        self.sizes = torch.bincount(fold, minlength=self.folds).double()
        self.lengths = self.sizes.int().tolist()
        self.rows = self._sorted("codes", z)
        concepts = z.shape[1]
        self.sums, self.squares = torch.zeros(
            2, self.folds, concepts, dtype=torch.float64, device=z.device
        )
        size = SQUARED[z.device.type]
        buffer = torch.empty(min(size, len(z)), concepts, dtype=torch.float64, device=z.device)
        for index, rows in enumerate(self.rows.split(self.lengths)):
            self.sums[index] = rows.sum(0, dtype=torch.float64)
            for few in rows.split(size):
                self.squares[index] += buffer[: len(few)].copy_(few).square_().sum(0)
        return self

    def in_order(self, x: torch.Tensor) -> torch.Tensor:
        """Return activations (B, d) of the batch in the order of the codes; until the next call."""
        return self._sorted("activations", x)

    def _sorted(self, name: str, values: torch.Tensor) -> torch.Tensor:
        if name not in self._buffers or self._buffers[name].numel() < values.numel():
            self._buffers[name] = torch.empty(
                values.numel(), dtype=self.products, device=values.device
            )
        rows = self._buffers[name][: values.numel()].view(values.shape)
        if values.dtype == rows.dtype:
            return torch.index_select(values, 0, self._order, out=rows)
        return rows.copy_(values[self._order])
