"""Fidelity of codes to the activations that they encode."""

from __future__ import annotations

import torch

from vinfo_mpi.numerics.reduction import Reduce, identity

NAMES = ("error", "size", "error_positions", "size_positions", "kept")


def of_images(
    x: torch.Tensor, rebuilt: torch.Tensor, same_prediction: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return what the codes of each image keep, as numbers that add over images.

    Parameters
    ----------
    x, rebuilt : (B, P, d) tensors
        The encoded vectors of every image, true and rebuilt from the codes.
    same_prediction : (B,) bool tensor
        Whether the prediction is the same with the rebuilt vector.

    Returns
    -------
    dict of str to (B,) float64 tensor
        Squared error and squared size of the vector averaged over positions, the same summed over
        positions, and 1 where the prediction is kept.
    """
    pooled = x.mean(1)
    values = (
        _squared_size(rebuilt.mean(1) - pooled),
        _squared_size(pooled),
        _squared_size(rebuilt - x),
        _squared_size(x),
        same_prediction.double(),
    )
    return dict(zip(NAMES, values, strict=True))


def finish(images: dict[str, torch.Tensor], reduce: Reduce = identity) -> dict[str, float]:
    """Return relative errors and the share of predictions kept, of the images of all ranks."""
    count = images["kept"].new_tensor(float(len(images["kept"])))
    sums = torch.stack([*(images[name].sum() for name in NAMES), count])
    error, size, error_positions, size_positions, kept_predictions, n = reduce(sums).tolist()
    return {
        "relative_error": _relative(error, size),
        "relative_error_positions": _relative(error_positions, size_positions),
        "predictions_kept": kept_predictions / n,
    }


def _squared_size(vectors: torch.Tensor) -> torch.Tensor:
    """Return the sum of the squares of every image's numbers: (B, ...) to (B,)."""
    return vectors.square().flatten(1).sum(1)


def _relative(error: float, size: float) -> float:
    return (error / size) ** 0.5 if size else 0.0
