"""Composition of classes: their mean codes, and the tree of classes by shared concepts."""

from __future__ import annotations

import numpy as np
import torch
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from vinfo_mpi.numerics.arrays import unit_rows
from vinfo_mpi.numerics.reduction import Reduce, identity


class Profiles:
    """Sums of codes and numbers of images, class by class; they add over batches and ranks.

    Attributes
    ----------
    sums : (C, K + 1) float64 tensor
        Sum of the codes of each class; in the last column its images. One tensor: a single sum over
        the ranks.
    """

    def __init__(self, classes: int, concepts: int, device: torch.device | str = "cpu") -> None:
        self.sums = torch.zeros(classes, concepts + 1, dtype=torch.float64, device=device)

    def add(self, codes: torch.Tensor, labels: torch.Tensor) -> None:
        """Add a batch: codes (B, K) and classes (B,) int64."""
        self.sums[:, :-1].index_add_(0, labels, codes.double())
        self.sums[:, -1] += torch.bincount(labels, minlength=len(self.sums))

    def reduced(self, reduce: Reduce = identity) -> Profiles:
        """Turn the profiles into those of all ranks' images, in place, and return them."""
        reduce(self.sums)
        return self

    def merged(self, groups: np.ndarray | torch.Tensor) -> Profiles:
        """Return the profiles of super-classes 0 .. S-1; every image counts the same.

        Parameters
        ----------
        groups : (C,) int64 array or tensor
            The super-class of each class.
        """
        groups = torch.as_tensor(groups, device=self.sums.device)
        result = Profiles(int(groups.max()) + 1, self.sums.shape[1] - 1, self.sums.device)
        result.sums.index_add_(0, groups, self.sums)
        return result

    def means(self) -> np.ndarray:
        """Return the mean code of each class: (C, K) float64 array; NaN for one without images."""
        return (self.sums[:, :-1] / self.sums[:, -1:]).cpu().numpy()


def tree(means: np.ndarray) -> np.ndarray:
    """Return the tree of classes: average linkage of the cosine distances between their profiles.

    Parameters
    ----------
    means : (C, K) array
        Mean codes. A class whose profile is zero or NaN shares nothing with any other: its distance
        is 1 to all.

    Returns
    -------
    (C - 1, 4) float64 array
        Merges in the format of `scipy.cluster.hierarchy.linkage`.
    """
    if len(means) < 2:
        return np.empty((0, 4))
    profiles = unit_rows(np.nan_to_num(np.asarray(means, np.float64)))
    distances = (1 - profiles @ profiles.T).clip(min=0)
    return linkage(squareform(distances, checks=False), method="average")


def leaves(merges: np.ndarray) -> np.ndarray:
    """Return the classes in the order in which their tree has no crossings: (C,) int64."""
    return leaves_list(merges).astype(np.int64) if len(merges) else np.zeros(1, np.int64)
