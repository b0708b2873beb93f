"""How images are expressed in a dictionary: non-negative least squares, a projection, or codes that are known.

Whichever it is, x ≈ offset + codes @ atoms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch

from vinfo_mpi.config.schema import Encode
from vinfo_mpi.numerics import nnls
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.hdf5 import checked, open_checked

RIDGE = 0.1  # relative to the mean eigenvalue of the atoms' products
SHARPNESS, LEAST = 2, 0.1  # power of the cosine in the objective, and the cosine that it is at least


@dataclass
class Encoded:
    """Codes of some images.

    Attributes
    ----------
    vectors : (B, P, d) tensor
        What was encoded: every position, or the pooled vector alone (P = 1).
    codes : (B, P, K) tensor
    residual : (B,) tensor
        Largest violation of the optimality conditions, see `nnls.Codes`; 0 where there are none.
    """

    vectors: torch.Tensor
    codes: torch.Tensor
    residual: torch.Tensor


class Encoder(Protocol):
    """Finds codes.

    Attributes
    ----------
    reads : tuple of str
        What it must be shown of the images: names of methods of `Observed`.
    """

    reads: tuple[str, ...]

    def encode(self, seen: Mapping[str, torch.Tensor]) -> Encoded:
        """Return the codes of the images that this was seen of."""

    def objective(self, seen: Mapping[str, torch.Tensor], concepts: torch.Tensor) -> torch.Tensor:
        """Return what rises with the code of one concept in each image, differentiable: concepts (B,) int64 to (B,)."""


class NonNegative:
    """Codes are non-negative and rebuild the last tap best."""

    reads: tuple[str, ...] = ("map",)

    def __init__(self, atoms: torch.Tensor, options: Encode) -> None:
        self.dictionary, self.options = nnls.Dictionary(atoms), options

    def encode(self, seen: Mapping[str, torch.Tensor]) -> Encoded:
        """Return the codes of every position, or of their mean. See `Encoder`."""
        vectors, options = self._vectors(seen), self.options
        found = self.dictionary.encode(vectors.flatten(0, 1), options.tolerance, options.max_iterations)
        return Encoded(vectors, found.codes.reshape(*vectors.shape[:2], -1), found.residual.reshape(len(vectors), -1).amax(1))

    def objective(self, seen: Mapping[str, torch.Tensor], concepts: torch.Tensor) -> torch.Tensor:
        """Return the code without its constraint, times a power of the cosine of vector and atom, mean over positions.

        The constraint makes most codes 0, from where no gradient leads away. Without it, what the atom shares with
        others still does not count; and the cosine holds vectors near that atom, where its code is large. See `Encoder`.
        """
        vectors, atoms = self._vectors(seen), self.dictionary.atoms[concepts]
        codes = torch.einsum("bpd,bd->bp", vectors, self._unconstrained[concepts])
        cosine = torch.nn.functional.cosine_similarity(vectors, atoms[:, None], dim=2)
        return (codes * cosine.clamp(min=LEAST) ** SHARPNESS).mean(1)

    def _vectors(self, seen: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return seen["map"].mean(1, keepdim=True) if self.options.positions == "pooled" else seen["map"]

    @cached_property
    def _unconstrained(self) -> torch.Tensor:
        """Ridge regression on the atoms, codes = x @ this.T, any sign: (K, d)."""
        atoms = self.dictionary.atoms
        products = atoms.T @ atoms
        products.diagonal().add_(RIDGE * products.diagonal().mean())
        return torch.linalg.solve(products, atoms.T).T


class Linear:
    """Codes are projections of the pooled last tap."""

    reads: tuple[str, ...] = ("pooled",)

    def __init__(self, offset: torch.Tensor, projection: torch.Tensor) -> None:
        self.offset, self.projection = offset, projection

    def encode(self, seen: Mapping[str, torch.Tensor]) -> Encoded:
        """Return the projections. See `Encoder`."""
        x = seen["pooled"]
        return _of_pooled(x, (x - self.offset) @ self.projection)

    def objective(self, seen: Mapping[str, torch.Tensor], concepts: torch.Tensor) -> torch.Tensor:
        """Return the code. See `Encoder`."""
        return _each(self.encode(seen), concepts)


class Known:
    """Codes are there already, but for their mean."""

    def __init__(self, source: str, centre: torch.Tensor) -> None:
        self.reads: tuple[str, ...] = ("pooled", source)
        self.centre = centre

    def encode(self, seen: Mapping[str, torch.Tensor]) -> Encoded:
        """Return them, centred. See `Encoder`."""
        x, values = (seen[name] for name in self.reads)
        return _of_pooled(x, values - self.centre)

    def objective(self, seen: Mapping[str, torch.Tensor], concepts: torch.Tensor) -> torch.Tensor:
        """Return the code. See `Encoder`."""
        return _each(self.encode(seen), concepts)


def encoder(run: Run) -> Encoder:
    """Return what finds codes in the run's dictionary."""
    options, parts = run.config.dictionary, _read(run, "atoms", "offset", "projection", "centre")
    if options.non_negative:
        return NonNegative(parts["atoms"], run.config.encode)
    if "projection" in parts:
        return Linear(parts["offset"], parts["projection"])
    return Known(options.source, parts["centre"])


def at_positions(encoder: Encoder, vectors: torch.Tensor) -> torch.Tensor | None:
    """Return the codes of single vectors of the last tap, (n, d) to (n, K); None where codes are found elsewhere."""
    if not set(encoder.reads) <= {"map", "pooled"}:
        return None
    return encoder.encode({"map": vectors[:, None], "pooled": vectors}).codes[:, 0]


def decoder(run: Run) -> tuple[torch.Tensor, torch.Tensor]:
    """Return atoms (K, d) and offset (d,) of the run's dictionary: x ≈ offset + codes @ atoms."""
    parts = _read(run, "atoms", "offset")
    return parts["atoms"], parts.get("offset", parts["atoms"].new_zeros(parts["atoms"].shape[1]))


def _read(run: Run, *names: str) -> dict[str, torch.Tensor]:
    """Return what the dictionary has of these datasets."""
    with open_checked(run.dictionary, "vinfo-dictionary") as file:
        return {name: run.tensor(checked(file, name)) for name in names if name in file}


def _of_pooled(vectors: torch.Tensor, codes: torch.Tensor) -> Encoded:
    return Encoded(vectors[:, None], codes[:, None], vectors.new_zeros(len(vectors)))


def _each(found: Encoded, concepts: torch.Tensor) -> torch.Tensor:
    """Return the code of one concept in each image."""
    return found.codes[:, 0].gather(1, concepts[:, None])[:, 0]
