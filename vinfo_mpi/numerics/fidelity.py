"""How well codes stand for the activations that they encode."""

from __future__ import annotations

import torch

from vinfo_mpi.numerics.sums import Sum, itself


class Fidelity:
    """Sums over images: they add over batches and ranks.

    Attributes
    ----------
    sums : (6,) float64 tensor
        Squared error and squared size of the pooled vectors, the same of the encoded rows, predictions kept, images.
    """

    def __init__(self) -> None:
        self.sums = torch.zeros(6, dtype=torch.float64)

    def add(self, pooled: tuple[torch.Tensor, torch.Tensor], rows: tuple[torch.Tensor, torch.Tensor], kept: torch.Tensor) -> None:
        """Add a batch of images.

        Parameters
        ----------
        pooled, rows : pairs of (B, d) and of (B P, d) tensors
            The pooled vectors and the encoded rows, each true and rebuilt from the codes.
        kept : (B,) bool tensor
            Whether the prediction is the same with the rebuilt vector.
        """
        squares = (part.square().sum().cpu() for true, rebuilt in (pooled, rows) for part in (rebuilt - true, true))
        self.sums += torch.stack([*squares, kept.sum().cpu(), torch.tensor(len(kept))])

    def finish(self, total: Sum = itself) -> dict[str, float]:
        """Return relative errors and the share of predictions kept; `total` sums over the ranks, in place."""
        error, size, error_rows, size_rows, kept, images = total(self.sums).tolist()
        return {
            "relative_error": (error / size) ** 0.5 if size else 0.0,
            "relative_error_positions": (error_rows / size_rows) ** 0.5 if size_rows else 0.0,
            "predictions_kept": kept / images,
        }
