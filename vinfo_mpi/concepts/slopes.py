"""Derivatives of a logit along the atoms of a dictionary."""

from __future__ import annotations

from collections.abc import Callable

import torch

from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader

Slopes = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # of codes (B, K) and classes (B,)


def slopes_of_head(
    run: Run, activations: ActivationReader, atoms: torch.Tensor, offset: torch.Tensor
) -> Slopes:
    """Return the derivatives along the atoms of the head of these activations, linear or not."""
    slopes = linear_slopes(run, activations, atoms)
    if slopes is None:
        slopes = network_slopes(run.head(activations), atoms, offset, run.config.machine.batch)
    return slopes


def linear_slopes(run: Run, activations: ActivationReader, atoms: torch.Tensor) -> Slopes | None:
    """Return the derivatives along the atoms of a linear head, None where the head is not linear.

    They are the same for all images of a class.
    """
    if "head" not in activations:
        return None
    table = run.tensor(activations.read("head/weight")) @ atoms.T  # (C, K)
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
