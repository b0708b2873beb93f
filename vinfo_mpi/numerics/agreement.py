"""Labels beside predictions: what chance explains, and whether outputs are in another order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import bdtr, bdtrc


class Reordering(NamedTuple):
    """The assignment of outputs to classes that fits the labels best.

    Attributes
    ----------
    output : (C,) int64 array
        Which output each class is.
    right, before : int
        How many of the images that did not decide on it are right with it, and without it.
    images : int
        How many these are.
    """

    output: np.ndarray
    right: int
    before: int
    images: int


def confusion(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Return how many images of each class (rows) have each prediction: (C, C) int64."""
    cells = np.bincount(labels * classes + predictions, minlength=classes**2)
    return cells.reshape(classes, classes)


def chance(table: np.ndarray) -> float:
    """Return the expected share of right predictions if they did not depend on the image.

    It is the sum over the classes of their share among the labels times that among the
    predictions, which Cohen's kappa (1960) counts from.

    Parameters
    ----------
    table : (C, C) array
        A confusion matrix.
    """
    total = table.sum()
    return float((table.sum(0) / total) @ (table.sum(1) / total))


def exceeds(right: int, images: int, share: float) -> float:
    """Return the probability of so many right ones, or more, at this share (binomial)."""
    return float(bdtrc(right - 1, images, share))


def falls_short(right: int, images: int, share: float) -> float:
    """Return the probability of so many right ones, or fewer, at this share (binomial)."""
    return float(bdtr(right, images, share))


def reordering(labels: np.ndarray, predictions: np.ndarray, classes: int) -> Reordering:
    """Return the best assignment of outputs to classes: every second image decides, others judge.

    Parameters
    ----------
    labels, predictions : (n,) int64 arrays
    classes : int
    """
    table = confusion(labels[::2], predictions[::2], classes)
    # Where nothing tells, a class keeps its output.
    output = linear_sum_assignment(2 * table + np.eye(classes), maximize=True)[1]
    label = labels[1::2]
    prediction = predictions[1::2]
    right = int((output[label] == prediction).sum())
    return Reordering(output, right, int((label == prediction).sum()), len(label))
