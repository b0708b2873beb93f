"""Selection of representative concepts: the simplest, the most complex, the most important."""

from __future__ import annotations

import numpy as np


def by_complexity(complexity: np.ndarray) -> np.ndarray:
    """Return the numbers of the living concepts from the simplest to the most complex.

    The living ones are those that have a complexity.
    """
    return np.argsort(complexity, kind="stable")[: np.isfinite(complexity).sum()]  # NaN comes last


def extremes(complexity: np.ndarray, share: float) -> dict[str, np.ndarray]:
    """Return the numbers of the simplest and of the most complex living concepts.

    That share of them, two at least.
    """
    order = by_complexity(complexity)
    count = min(len(order), max(2, round(share * len(order))))
    return {"simple": order[:count], "complex": order[len(order) - count :]}


def most_important(
    complexity: np.ndarray, importance: np.ndarray, share: float, at_least: int
) -> np.ndarray:
    """Return the numbers of the most important living concepts.

    That share of them, or at least so many.
    """
    living = np.flatnonzero(np.isfinite(complexity))
    count = max(at_least, round(share * len(living)))
    return living[np.argsort(-importance[living], kind="stable")[:count]]
