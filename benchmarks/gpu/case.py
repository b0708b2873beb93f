"""What a case is: a function of numerics, called on small data that a device holds.

A case is given a function that puts a tensor on the device. It returns tensors that are the same on
all devices, but for rounding: where only a subspace is determined, or a sign is free, what it
returns does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from vinfo_mpi.numerics import folds

Place = Callable[[torch.Tensor], torch.Tensor]
Function = Callable[[Place], Sequence[torch.Tensor]]

ROWS = 200
CHANNELS = 12
CONCEPTS = 9
CLASSES = 4
FOLDS = 5
DOUBLE = 1e-7  # largest difference, relative to the largest value, of what is computed in float64
SINGLE = 1e-5  # of what float32 products go into


@dataclass(frozen=True)
class Case:
    """A function to call, and how far devices may differ in what it returns."""

    function: Function
    tolerance: float = DOUBLE


class Cases(dict[str, Case]):
    """Cases by name, each added by a decorator."""

    def add(self, function: Function) -> Function:
        """Add a case whose arithmetic is in float64."""
        self[function.__name__] = Case(function)
        return function

    def add_float32(self, function: Function) -> Function:
        """Add a case with float32 products."""
        self[function.__name__] = Case(function, SINGLE)
        return function


def random(seed: int, *shape: int) -> torch.Tensor:
    """Return standard normal values."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


X = random(0, ROWS, CHANNELS) + 1
CODES = (random(1, ROWS, CONCEPTS).abs() - 0.4).clamp(min=0)
CODES[:, 3] = 0  # a dead concept
LABEL = torch.arange(ROWS) % CLASSES
FOLD = torch.from_numpy(folds.assign(np.arange(ROWS), LABEL.numpy(), FOLDS))
TARGETS = torch.eye(CLASSES, dtype=torch.float64)[LABEL]
ATOMS = torch.from_numpy(np.random.default_rng(2).random((30, CHANNELS)))


def difference(expected: Sequence[torch.Tensor], actual: Sequence[torch.Tensor]) -> float:
    """Return the largest difference of tensors, each relative to its largest value.

    It is infinite where shapes differ, or NaNs.
    """
    return max((_difference(*pair) for pair in zip(expected, actual, strict=True)), default=0.0)


def _difference(expected: torch.Tensor, actual: torch.Tensor) -> float:
    true = expected.double().cpu()
    values = actual.double().cpu()
    if true.shape != values.shape or not torch.equal(true.isnan(), values.isnan()):
        return float("inf")
    if not true.numel():
        return 0.0
    largest = true.nan_to_num(0).abs().max().clamp(min=1e-12)
    return float((true - values).nan_to_num(0).abs().max() / largest)
