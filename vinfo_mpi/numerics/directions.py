"""Concepts that are directions of the last tap, from sums alone; linear decoders of any codes."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vinfo_mpi.numerics.gram import Gram

# Loadings within this share of each other are equally large: rounding does not choose between them.
TIE = 1 - 1e-6


@dataclass
class Directions:
    """Directions of the activations x.

    Codes are (x - offset) @ projection, and x ≈ offset + codes @ atoms.

    Attributes
    ----------
    projection : (d, K) float64 tensor
    atoms : (K, d) float64 tensor
    offset : (d,) float64 tensor
    """

    projection: torch.Tensor
    atoms: torch.Tensor
    offset: torch.Tensor


def pca(gram: Gram) -> Directions:
    """Return the principal components of the Gram's first vector that have variance, largest first.

    Directions have unit length. If a shift was subtracted from x, all is about what was left.
    """
    _, vectors = gram.principal(0, centred=True)
    vectors = _signed(vectors)
    return Directions(vectors, vectors.T, gram.mean(0))


def eigenfunctions(gram: Gram) -> Directions:
    """Return the eigenfunctions of the Gram's first vector, the features Φ.

    Largest eigenvalue first. Codes are e_k(x) = Φ(x)·v_k / √ρ_k, orthonormal over the samples (see
    `spectrum`). Not centred: no shift may have been subtracted.
    """
    values, vectors = gram.principal(0, centred=False)
    vectors = _signed(vectors)
    singular = values.sqrt()
    return Directions(vectors / singular, (vectors * singular).T, torch.zeros_like(gram.mean(0)))


def neurons(d: int) -> Directions:
    """Return the d channels themselves as directions."""
    identity = torch.eye(d, dtype=torch.float64)
    return Directions(identity, identity, torch.zeros(d, dtype=torch.float64))


def decoder(gram: Gram) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the least-squares decoder of activations from codes.

    Of dependent codes there are many decoders that are equally good; this is the smallest one, with
    codes in units of their root mean square. A code without variance gets an atom of zeros.

    Parameters
    ----------
    gram : Gram
        Of codes z and activations x, in this order.

    Returns
    -------
    atoms, offset : (K, d), (d,) float64 tensors
        x ≈ offset + z @ atoms.
    """
    whitening = gram.whitening(0)
    atoms = whitening @ (whitening.T @ gram.covariance(0, 1))
    return atoms, gram.mean(1) - gram.mean(0) @ atoms


def _signed(vectors: torch.Tensor) -> torch.Tensor:
    """Return columns whose largest loading, of several the first, is positive."""
    size = vectors.abs()
    largest = (size >= TIE * size.amax(0)).int().argmax(0)
    return vectors * vectors.gather(0, largest[None]).sign()
