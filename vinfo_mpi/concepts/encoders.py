"""Encoders: the codes of images in a dictionary.

By non-negative least squares, by an encoder of its own, by a projection, or by codes that are
known. Whichever it is,
x ≈ offset + codes @ atoms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch

from vinfo_mpi.concepts.saes.features import Features, FromFile, FromFunction
from vinfo_mpi.config.schema import Encode
from vinfo_mpi.costs.workload import SUMS
from vinfo_mpi.numerics import nnls
from vinfo_mpi.numerics.autoencoder import Encoder as OfAutoencoder
from vinfo_mpi.parallel import gpus
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.hdf5 import checked, open_checked

RIDGE = 0.1  # relative to the mean eigenvalue of the atoms' products
# Power of the cosine in the objective, at the first and at later attempts at a picture: what misses
# a concept with the one shows it with another.
SHARPNESS = (2, 8, 0)
SMALLEST_COSINE = 0.1  # that the cosine in the objective is at least

Observations = Mapping[str, torch.Tensor]  # by the names of methods of `Observed`


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
        What it must be given of the images: names of methods of `Observed`.
    """

    reads: tuple[str, ...]

    def encode(self, observed: Observations) -> Encoded:
        """Return the codes of the images that this was observed of."""

    def objective(
        self, observed: Observations, concepts: torch.Tensor, attempt: int = 0
    ) -> torch.Tensor:
        """Return what rises with the code of one concept in each image, differentiable.

        Parameters
        ----------
        observed : mapping of str to (B, ...) tensor
        concepts : (B,) int64 tensor
        attempt : int
            From 1 on: what was tried before has not shown the concept.

        Returns
        -------
        (B,) tensor
        """


class NonNegative:
    """Codes are non-negative and rebuild the last tap best."""

    reads: tuple[str, ...] = ("map",)

    def __init__(self, atoms: torch.Tensor, options: Encode, room: float | None = None) -> None:
        self.dictionary = nnls.Dictionary(atoms, options.solver, room)
        self.options = options
        single = options.precision == "float32"
        if options.precision == "auto":
            single = gpus.slow_in_float64(atoms.device)
        self._precision = torch.float32 if single else torch.float64

    def encode(self, observed: Observations) -> Encoded:
        """Return the codes of every position, or of their mean. See `Encoder`."""
        vectors = _vectors(observed, self.options)
        images, positions, _ = vectors.shape
        solved = self.dictionary.encode(
            vectors.flatten(0, 1),
            self.options.tolerance,
            self.options.max_iterations,
            self._precision,
        )
        codes = solved.codes.reshape(images, positions, -1)
        residual = solved.residual.reshape(images, -1).amax(1)
        return Encoded(vectors, codes, residual)

    def objective(
        self, observed: Observations, concepts: torch.Tensor, attempt: int = 0
    ) -> torch.Tensor:
        """Return the unconstrained code times a power of a cosine, mean over positions.

        The constraint makes most codes 0, from where no gradient leads away. Without it, what the
        atom shares with others still does not count; and the cosine of vector and atom holds
        vectors near that atom, where its code is large. See `Encoder`.
        """
        vectors = _vectors(observed, self.options)
        atoms = self.dictionary.atoms[concepts]
        codes = torch.einsum("bpd,bd->bp", vectors, self._unconstrained[concepts])
        cosine = torch.nn.functional.cosine_similarity(vectors, atoms[:, None], dim=2)
        return (codes * cosine.clamp(min=SMALLEST_COSINE) ** SHARPNESS[attempt]).mean(1)

    @cached_property
    def _unconstrained(self) -> torch.Tensor:
        """Ridge regression on the atoms, codes = x @ this.T, any sign: (K, d)."""
        atoms = self.dictionary.atoms
        products = atoms.T @ atoms
        products.diagonal().add_(RIDGE * products.diagonal().mean())
        return torch.linalg.solve(products, atoms.T).T


class Own:
    """Codes are those that an encoder of the concepts' own gives.

    Parameters
    ----------
    features : Features
    chosen : (K,) int64 tensor
        Which of its features are the concepts.
    options : Encode
    """

    reads: tuple[str, ...] = ("map",)

    def __init__(self, features: Features, chosen: torch.Tensor, options: Encode) -> None:
        self.features = features
        self.chosen = chosen
        self.options = options

    def encode(self, observed: Observations) -> Encoded:
        """Return the codes of every position, or of their mean. See `Encoder`."""
        vectors = _vectors(observed, self.options)
        codes = self.features.codes(vectors.flatten(0, 1))[:, self.chosen]
        codes = codes.reshape(*vectors.shape[:2], -1)
        return Encoded(vectors, codes, vectors.new_zeros(len(vectors)))

    def objective(
        self, observed: Observations, concepts: torch.Tensor, attempt: int = 0
    ) -> torch.Tensor:
        """Return what the features' activation is given, mean over positions. See `Encoder`.

        Where a feature does not fire, no gradient of its code leads away.
        """
        vectors = _vectors(observed, self.options)
        values = self.features.before(vectors.flatten(0, 1)).reshape(*vectors.shape[:2], -1)
        return values.mean(1).gather(1, self.chosen[concepts][:, None])[:, 0]


class Linear:
    """Codes are projections of the pooled last tap."""

    reads: tuple[str, ...] = ("pooled",)

    def __init__(self, offset: torch.Tensor, projection: torch.Tensor) -> None:
        self.offset = offset
        self.projection = projection

    def encode(self, observed: Observations) -> Encoded:
        """Return the projections. See `Encoder`."""
        x = observed["pooled"]
        return _encoded_pooled(x, (x - self.offset) @ self.projection)

    def objective(
        self, observed: Observations, concepts: torch.Tensor, attempt: int = 0
    ) -> torch.Tensor:
        """Return the code. See `Encoder`."""
        return _code_of_each(self.encode(observed), concepts)


class Known:
    """Codes are there already, but for their mean."""

    def __init__(self, source: str, centre: torch.Tensor) -> None:
        self.reads: tuple[str, ...] = ("pooled", source)
        self.source = source
        self.centre = centre

    def encode(self, observed: Observations) -> Encoded:
        """Return them, centred. See `Encoder`."""
        return _encoded_pooled(observed["pooled"], observed[self.source] - self.centre)

    def objective(
        self, observed: Observations, concepts: torch.Tensor, attempt: int = 0
    ) -> torch.Tensor:
        """Return the code. See `Encoder`."""
        return _code_of_each(self.encode(observed), concepts)


def encoder(run: Run) -> Encoder:
    """Return what finds codes in the run's dictionary."""
    options = run.config.dictionary
    dictionary = _read(run, "atoms", "offset", "projection", "centre")
    if options.kind_of_source.codes == "non-negative":
        room = None if run.room is None else run.room / SUMS  # what is free belongs to all ranks
        return NonNegative(dictionary["atoms"], run.config.encode, room)
    if options.kind_of_source.codes == "encoder":
        return Own(*_features(run, dictionary["atoms"].shape[1]), run.config.encode)
    if options.kind_of_source.codes == "projection":
        return Linear(dictionary["offset"], dictionary["projection"])
    return Known(options.source, dictionary["centre"])


def at_positions(encoder: Encoder, vectors: torch.Tensor) -> torch.Tensor | None:
    """Return the codes of single vectors of the last tap, (n, d) to (n, K).

    None where codes do not follow from the last tap.
    """
    observed = {"map": vectors[:, None], "pooled": vectors}
    if not set(encoder.reads) <= observed.keys():
        return None
    return encoder.encode(observed).codes[:, 0]


def decoder(run: Run) -> tuple[torch.Tensor, torch.Tensor]:
    """Return atoms (K, d) and offset (d,) of the run's dictionary: x ≈ offset + codes @ atoms."""
    dictionary = _read(run, "atoms", "offset")
    atoms = dictionary["atoms"]
    return atoms, dictionary.get("offset", atoms.new_zeros(atoms.shape[1]))


def _features(run: Run, channels: int) -> tuple[Features, torch.Tensor]:
    """Return the features of the run's autoencoder, and which of them are concepts."""
    function = run.config.dictionary.autoencoder_function
    names = ("weight", "bias", "threshold")
    stored = _read(run, "feature", *(f"encoder/{name}" for name in names))
    chosen = stored["feature"].long()
    if function is not None:
        return FromFunction(function, channels, run.device), chosen
    with open_checked(run.dictionary, "vinfo-dictionary") as file:
        said = {name: int(file.attrs[name]) for name in ("top_k", "reached", "signed")}
    encoder = OfAutoencoder(
        stored["encoder/weight"],
        stored["encoder/bias"],
        said["top_k"] or None,
        stored.get("encoder/threshold"),
        bool(said["reached"]),
        bool(said["signed"]),
    )
    return FromFile(encoder), chosen


def _vectors(observed: Observations, options: Encode) -> torch.Tensor:
    """Return what is encoded: (B, P, d), or P = 1 where it is the pooled vector."""
    if options.positions == "pooled":
        return observed["map"].mean(1, keepdim=True)
    return observed["map"]


def _read(run: Run, *names: str) -> dict[str, torch.Tensor]:
    """Return what the dictionary has of these datasets."""
    with open_checked(run.dictionary, "vinfo-dictionary") as file:
        return {name: run.tensor(checked(file, name)) for name in names if name in file}


def _encoded_pooled(vectors: torch.Tensor, codes: torch.Tensor) -> Encoded:
    """Return codes (B, K) of pooled vectors (B, d), which satisfy all conditions."""
    return Encoded(vectors[:, None], codes[:, None], vectors.new_zeros(len(vectors)))


def _code_of_each(encoded: Encoded, concepts: torch.Tensor) -> torch.Tensor:
    """Return the code of one concept in each image."""
    return encoded.codes[:, 0].gather(1, concepts[:, None])[:, 0]
