"""Number of concepts that decisions need: images classified correctly from some of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch

IN_TURN = ("complexity-ascending", "complexity-descending", "random")
Head = Callable[[torch.Tensor], torch.Tensor]  # vectors (B, d) to logits (B, C)


def classified_right(
    codes: torch.Tensor,
    atoms: torch.Tensor,
    offset: torch.Tensor,
    head: Head,
    labels: torch.Tensor,
    order: np.ndarray | torch.Tensor,
    counts: Sequence[int],
) -> torch.Tensor:
    """Return which images are classified right from the first concepts of an order.

    That is from offset + Σ z_k d_k over these. The sum grows from one number of concepts to the
    next, so that all of them cost one product of codes and atoms.

    Parameters
    ----------
    codes : (B, K) tensor
    atoms : (K, d) tensor
        In the precision of the sum.
    offset : (d,) tensor
        What remains without any concept.
    head : Head
    labels : (B,) integer tensor
        Right classes.
    order : (K,) integer array or tensor
        Concepts in the order in which they are added.
    counts : sequence of S int
        How many concepts are kept, ascending, from 0 to K.

    Returns
    -------
    (S, B) bool tensor
    """
    order = torch.as_tensor(order, device=codes.device)
    vectors = offset.to(atoms.dtype).repeat(len(codes), 1)
    right = torch.empty(len(counts), len(codes), dtype=torch.bool, device=codes.device)
    for index, (start, stop) in enumerate(pairwise([0, *counts])):
        block = order[start:stop]
        vectors.addmm_(codes[:, block].to(atoms.dtype), atoms[block])
        right[index] = head(vectors).argmax(1) == labels
    return right


class Curves:
    """Sums over images of how they are classified along several orders of concepts.

    They add over batches and ranks.

    Parameters
    ----------
    orders : dict of str to (K,) or (draws, K) integer array
        As `orders` returns them.
    counts : (S,) integer array
        How many concepts are kept, ascending, from 0 to K.
    images : int
        How many images there are on all ranks.

    Attributes
    ----------
    sums : (3, R, S + 1) float64 tensor
        Sums of v, v² and v·w along every order, R with all draws: v is 1 where an image is right
        with so many concepts, in the last column the area under these; w is 1 where it is right
        with all.
    """

    def __init__(
        self,
        orders: Mapping[str, np.ndarray],
        counts: np.ndarray,
        images: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self.orders = {name: np.atleast_2d(order) for name, order in orders.items()}
        self.counts = counts.tolist()
        self.images = images
        gaps = torch.from_numpy(np.pad(np.diff(counts / counts[-1]), 1)).to(device)
        self.weights = (gaps[:-1] + gaps[1:]) / 2  # of the trapezoidal rule
        every = np.concatenate([*self.orders.values()])
        self.sums = torch.zeros(3, len(every), len(counts) + 1, dtype=torch.float64, device=device)
        # Equal ones, as those in turn over a single class, are followed once.
        self.distinct, places = np.unique(every, axis=0, return_inverse=True)
        self.rows = [
            np.flatnonzero(places.ravel() == k).tolist() for k in range(len(self.distinct))
        ]

    def add(
        self,
        codes: torch.Tensor,
        atoms: torch.Tensor,
        offset: torch.Tensor,
        head: Head,
        labels: torch.Tensor,
        followed: Callable[[], object] = lambda: None,
    ) -> None:
        """Add a batch, as `classified_right` takes it; call `followed` after each order."""
        for order, rows in zip(self.distinct, self.rows, strict=True):
            values = classified_right(
                codes, atoms, offset, head, labels, order, self.counts
            ).double()
            values = torch.cat([values, (self.weights @ values)[None]])
            sums = torch.stack([values.sum(1), values.square().sum(1), values @ values[-2]])
            for row in rows:  # one by one: by a list of them, a GPU would be waited for
                self.sums[:, row] += sums
            followed()

    def accuracy(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the share of images that are right along every order, and its standard error.

        Averaged over draws: (orders, S) arrays.
        """
        share = (self.sums[0, :, :-1] / self.images).cpu().numpy()
        return self._average(share, share * (1 - share) / self.images)  # binomial

    def relative(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the same relative to the share with all concepts, and its standard error.

        In the last column the area under it. Over the images, the error is that of a ratio of two
        sums, √Σ(v - ratio·w)² / Σw (Cochran 1977, "Sampling Techniques", 2.11). NaN where no image
        is right with all concepts.

        Returns
        -------
        relative, error : (orders, S + 1) arrays
        """
        values, squares, products = self.sums.cpu().numpy()
        whole = values[:, -2:-1]
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = values / whole
            residual = squares - 2 * ratio * products + np.square(ratio) * whole
            return self._average(ratio, residual.clip(min=0) / np.square(whole))

    def _average(self, values: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the means over the draws of each order, and their standard errors.

        These are of both images and draws. All draws are about the same images, so that averaging
        does not lower what these contribute.
        """
        ends = np.cumsum([len(draws) for draws in self.orders.values()])[:-1]
        means = []
        errors = []
        for value, variance in zip(np.split(values, ends), np.split(variances, ends), strict=True):
            spread = value.var(0, ddof=1) / len(value) if len(value) > 1 else 0.0
            means.append(value.mean(0))
            errors.append(np.sqrt(variance.mean(0) + spread))
        return np.stack(means), np.stack(errors)


def orders(
    complexity: np.ndarray,
    importance: np.ndarray,
    classes: np.ndarray,
    draws: int,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Return the orders in which concepts are kept: the last of an order are the first to go.

    Where simple concepts sit in a few classes, keeping the simplest loses the other classes,
    however little complexity has to do with it. The orders ``...-in-turn`` therefore take the first
    of every class, then the second of every class, and so on.

    Parameters
    ----------
    complexity, importance : (K,) arrays
        A concept where either is NaN (dead) comes last in every order; equal ones stay in the order
        of their index.
    classes : (K,) integer array
        Class of each concept; all the same for a joint dictionary, whose orders in turn are those
        without.
    draws : int
        Random orders.
    seed : int
        Of the random orders.

    Returns
    -------
    dict of str to (K,) int64 array, and of ``random`` and its like to (draws, K) int64 array
    """
    keys = {
        "importance-descending": -importance,
        "importance-ascending": importance,
        "complexity-ascending": complexity,
        "complexity-descending": -complexity,
        "random": np.random.default_rng(seed).random((draws, len(complexity))),
    }
    dead = np.isnan(complexity) | np.isnan(importance)
    keys = {name: np.where(dead, np.nan, key) for name, key in keys.items()}
    in_turn = {f"{name}-in-turn": _in_turn(keys[name], classes) for name in IN_TURN}
    return {name: np.argsort(key, axis=-1, kind="stable") for name, key in (keys | in_turn).items()}


def _in_turn(keys: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return keys (..., K) that sort concepts by their place in their class, then by their keys."""
    places = np.argsort(np.argsort(keys, axis=-1, kind="stable"), axis=-1)
    _, groups, sizes = np.unique(classes, return_inverse=True, return_counts=True)
    by_class = np.argsort(groups * len(classes) + places, axis=-1)
    places_in_class = np.arange(len(classes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    turns = np.empty_like(places)
    np.put_along_axis(turns, by_class, np.broadcast_to(places_in_class, keys.shape), axis=-1)
    return np.where(np.isnan(keys), np.nan, turns * len(classes) + places)
