"""Codes at every position of an image, most of which are 0: those above 0, and where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class SparseCodes:
    """Positive codes of B images, in rows of equal length.

    Attributes
    ----------
    counts : (B, P) int array
        How many there are at each position.
    atoms : (B, W) int array
        Whose they are: position by position, ascending; 0 beyond the last one.
    codes : (B, W) float array
        And their values.
    """

    counts: np.ndarray
    atoms: np.ndarray
    codes: np.ndarray

    @property
    def whole(self) -> np.ndarray:
        """Mask of the images with room for all of their codes: (B,) bool; the others hold none."""
        return self.counts.sum(1, dtype=np.int64) <= self.codes.shape[1]

    def at_positions(self, images: np.ndarray, concepts: np.ndarray) -> np.ndarray:
        """Return the codes of a concept each in images that are whole: two (n,) to (n, P)."""
        ends = self.counts.cumsum(1, dtype=np.int64)
        in_use = np.arange(self.codes.shape[1]) < ends[:, -1:]
        pair, entry = np.nonzero(in_use[images] & (self.atoms[images] == concepts[:, None]))
        position = (ends[images[pair]] <= entry[:, None]).sum(1)
        codes = np.zeros((len(images), self.counts.shape[1]))
        codes[pair, position] = self.codes[images[pair], entry]
        return codes


def largest(codes: torch.Tensor, width: int) -> Mapping[str, torch.Tensor]:
    """Return the `width` codes (B, K) of every image that are furthest from 0, and whose they are.

    Nothing is lost where no image has more that are not 0; `spread` is the inverse.
    """
    atoms = codes.abs().topk(width, dim=1, sorted=False).indices.sort(dim=1).values
    return {"atoms": atoms, "codes": codes.gather(1, atoms)}


def spread(atoms: np.ndarray, codes: np.ndarray, concepts: int) -> np.ndarray:
    """Return the codes of all concepts, from those of `largest`: two (B, W) to (B, K)."""
    values = np.zeros((len(codes), concepts), codes.dtype)
    np.put_along_axis(values, atoms.astype(np.int64), codes, axis=1)
    return values


def pack(codes: torch.Tensor, width: int) -> Mapping[str, torch.Tensor]:
    """Return the positive ones of codes (B, P, K), by the names of `SparseCodes`' arrays.

    An image has room for `width` of them.
    """
    images, _, concepts = codes.shape
    flat = codes.flatten(1)
    counts = (codes > 0).sum(2)
    totals = counts.sum(1)
    image, entry = (flat > 0).nonzero(as_tuple=True)
    place = torch.arange(len(image), device=codes.device) - (totals.cumsum(0) - totals)[image]
    # The last column takes what has no room, and is left out.
    place = torch.where((totals <= width)[image], place, width)
    atoms = torch.zeros(images, width + 1, dtype=torch.int64, device=codes.device)
    values = torch.zeros(images, width + 1, dtype=torch.float32, device=codes.device)
    atoms[image, place] = entry % concepts
    values[image, place] = flat[image, entry].float()
    return {"counts": counts, "atoms": atoms[:, :width], "codes": values[:, :width]}
