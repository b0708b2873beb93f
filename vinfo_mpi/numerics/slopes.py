"""Derivatives of a logit along the atoms of a dictionary."""

from __future__ import annotations

from collections.abc import Callable

import torch

Slopes = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # of codes (B, K) and classes (B,)


def weight_slopes(weight: torch.Tensor, atoms: torch.Tensor) -> Slopes:
    """Return the derivatives of a linear head, (C, d), along atoms (K, d).

    They are the same for all images of a class.
    """
    table = weight @ atoms.T  # (C, K)
    return lambda codes, classes: table[classes]


def network_slopes(
    head: Callable[[torch.Tensor], torch.Tensor],
    atoms: torch.Tensor,
    offset: torch.Tensor,
    batch: int,
) -> Slopes:
    """Return the derivatives along the atoms of any head.

    They are taken at the images' reconstructions offset + z D, a batch at a time.
    """

    def derivatives(codes: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        vectors = (offset + codes @ atoms).requires_grad_()
        logits = head(vectors).gather(1, classes[:, None]).sum()
        return torch.autograd.grad(logits, vectors)[0] @ atoms.T

    def slopes(codes: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        pairs = zip(codes.split(batch), classes.split(batch), strict=True)
        return torch.cat([derivatives(*pair) for pair in pairs])

    return slopes
