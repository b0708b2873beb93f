"""How many concepts a network's decisions need: images classified right from a part of the concepts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch


def correct(
    codes: torch.Tensor,
    atoms: torch.Tensor,
    offset: torch.Tensor,
    head: Callable[[torch.Tensor], torch.Tensor],
    labels: torch.Tensor,
    order: np.ndarray | torch.Tensor,
    counts: Sequence[int],
) -> torch.Tensor:
    """Return how many images are classified right from offset + Σ z_k d_k over the first concepts of an order.

    The sum grows from one number of concepts to the next, so that all of them cost one product of codes and atoms.
    Results add over batches and ranks.

    Parameters
    ----------
    codes : (B, K) tensor
    atoms : (K, d) tensor
        In the precision of the sum.
    offset : (d,) tensor
        What remains without any concept.
    head : function
        Vectors (B, d) to logits (B, C).
    labels : (B,) integer tensor
        Right classes.
    order : (K,) integer array or tensor
        Concepts in the order in which they are added.
    counts : sequence of S int
        How many concepts are kept, ascending, from 0 to K.

    Returns
    -------
    (S,) int64 tensor
    """
    order = torch.as_tensor(order, device=codes.device)
    vectors = offset.to(atoms.dtype).repeat(len(codes), 1)
    right = torch.zeros(len(counts), dtype=torch.int64, device=codes.device)
    for index, (start, stop) in enumerate(pairwise([0, *counts])):
        block = order[start:stop]
        vectors.addmm_(codes[:, block].to(atoms.dtype), atoms[block])
        right[index] = (head(vectors).argmax(1) == labels).sum()
    return right


def orders(complexity: np.ndarray, importance: np.ndarray, draws: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the orders in which concepts are kept first: the last of an order are the first to be removed.

    Parameters
    ----------
    complexity, importance : (K,) arrays
        A concept where either is NaN (dead) comes last in every order; equal ones stay in the order of their index.
    draws : int
        Random orders.
    seed : int
        Of the random orders.

    Returns
    -------
    dict of str to (K,) int64 array, and of ``random`` to (draws, K) int64 array
    """
    keys = {
        "importance-descending": -importance,
        "importance-ascending": importance,
        "complexity-ascending": complexity,
        "complexity-descending": -complexity,
        "random": np.random.default_rng(seed).random((draws, len(complexity))),
    }
    dead = np.isnan(complexity) | np.isnan(importance)
    return {name: np.argsort(np.where(dead, np.nan, key), axis=-1, kind="stable") for name, key in keys.items()}
