"""How well codes stand for the activations that they encode."""

from __future__ import annotations

import torch

from vinfo_mpi.numerics.reduction import Sum, itself

NAMES = ("error", "size", "error_positions", "size_positions", "kept")


def of_images(x: torch.Tensor, rebuilt: torch.Tensor, kept: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return what the codes of each image keep, in parts that add over images.

    Parameters
    ----------
    x, rebuilt : (B, P, d) tensors
        The encoded vectors of every image, true and rebuilt from the codes.
    kept : (B,) bool tensor
        Whether the prediction is the same with the rebuilt vector.

    Returns
    -------
    dict of str to (B,) float64 tensor
        Squared error and squared size of the vector averaged over positions, the same summed over positions, and 1
        where the prediction is kept.
    """
    pairs = ((x.mean(1), rebuilt.mean(1)), (x, rebuilt))
    squares = [part.square().flatten(1).sum(1) for true, found in pairs for part in (found - true, true)]
    return dict(zip(NAMES, [*squares, kept.double()], strict=True))


def finish(parts: dict[str, torch.Tensor], total: Sum = itself) -> dict[str, float]:
    """Return relative errors and the share of predictions kept; `total` sums over the ranks, in place."""
    sums = torch.stack([*(parts[name].sum() for name in NAMES), parts["kept"].new_tensor(float(len(parts["kept"])))])
    error, size, error_positions, size_positions, kept, images = total(sums).tolist()
    return {
        "relative_error": (error / size) ** 0.5 if size else 0.0,
        "relative_error_positions": (error_positions / size_positions) ** 0.5 if size_positions else 0.0,
        "predictions_kept": kept / images,
    }
