"""Derivatives of a logit along the atoms of a run's dictionary."""

from __future__ import annotations

import torch

from vinfo_mpi.numerics.slopes import Slopes, network_slopes, weight_slopes
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader


def slopes_of_head(
    run: Run, activations: ActivationReader, atoms: torch.Tensor, offset: torch.Tensor
) -> Slopes:
    """Return the derivatives along the atoms of the head of these activations, linear or not."""
    slopes = linear_slopes(run, activations, atoms)
    if slopes is None:
        slopes = network_slopes(run.head(activations), atoms, offset, run.batch)
    return slopes


def linear_slopes(run: Run, activations: ActivationReader, atoms: torch.Tensor) -> Slopes | None:
    """Return the derivatives along the atoms of a linear head, None where the head is not linear.

    They are the same for all images of a class.
    """
    if "head" not in activations:
        return None
    return weight_slopes(run.tensor(activations.read("head/weight")), atoms)
