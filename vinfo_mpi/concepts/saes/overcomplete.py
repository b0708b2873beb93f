"""Sparse autoencoders as Overcomplete's are saved: whole, or their state dict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from vinfo_mpi.concepts.saes.formats import OTHERS
from vinfo_mpi.concepts.saes.stored import Stored
from vinfo_mpi.errors import InputError
from vinfo_mpi.numerics.autoencoder import Autoencoder, Encoder

ATOMS = "dictionary._weights"
ARCHETYPES = "dictionary.C"  # of an archetypal dictionary
TINY = 1e-8  # that Overcomplete adds to lengths and sums
UNIT = 0.1  # how far atoms of a state dict may be from unit length: by a step of the training
SAVE_WHOLE = "save the whole model: torch.save(sae, path)"


def read(stored: Stored) -> Autoencoder:
    """Return an autoencoder of Overcomplete: SAE, TopKSAE, BatchTopKSAE, JumpSAE, RA*SAE.

    A state dict does not say how many features are active at once: the setting dictionary.top_k
    does.
    """
    atoms = _archetypal(stored) if ARCHETYPES in stored.tensors else _normalised(stored)
    offset = atoms.new_zeros(atoms.shape[1])
    encoder = _linear(stored, atoms)
    if "thresholds" in stored.tensors:
        encoder = replace(encoder, threshold=stored["thresholds"].exp(), reached=True)
    elif stored.whole:
        encoder = _activation(stored, encoder)
    return Autoencoder(encoder, atoms, offset)


def lacks_activation(stored: Stored) -> bool:
    """Whether a file leaves open how many features are active at once."""
    return not stored.whole and "thresholds" not in stored.tensors


def _activation(stored: Stored, encoder: Encoder) -> Encoder:
    """Return the encoder with what the class of a whole model does after its ReLU."""
    model = stored.whole[""]
    kind = model["class"]
    if kind in ("TopKSAE", "RATopKSAE"):
        return replace(encoder, top_k=int(model["top_k"]))
    if kind == "BatchTopKSAE":
        threshold = model.get("running_threshold")
        if threshold is None:
            raise InputError(f"{stored.where}: its running_threshold is not set; train it first")
        above = torch.as_tensor(threshold).detach().double().expand(len(encoder.weight))
        return replace(encoder, threshold=above, reached=True)
    if kind == "SAE":
        return encoder
    raise InputError(f"{stored.where}: what a {kind} does is not known here; {OTHERS}")


def _linear(stored: Stored, atoms: torch.Tensor) -> Encoder:
    """Return the linear part of the encoder, with its batch normalisation."""
    names = {name.removeprefix("encoder.") for name in stored.tensors if name.startswith("encoder")}
    if not names or any(name.startswith("tied_to.") for name in names):  # transposed atoms
        bias = stored.tensors.get("encoder.bias", atoms.new_zeros(len(atoms)))
        return Encoder(atoms, bias)
    if "weight" in names:
        weight = stored["encoder.weight"]
        return Encoder(weight, stored.tensors.get("encoder.bias", weight.new_zeros(len(weight))))
    known = "final_block.0.weight" in names and not any(name.startswith("mlp") for name in names)
    normalised = "final_block.1.weight" in names
    batch_normalised = "final_block.1.running_mean" in names
    other = any(not name.startswith("final_block.") for name in names)
    if not known or other or (normalised and not batch_normalised):
        raise InputError(
            f"{stored.where}: its encoder is not a linear layer (with or without BatchNorm1d); "
            f"{OTHERS}"
        )
    weight = stored["encoder.final_block.0.weight"]
    bias = stored["encoder.final_block.0.bias"]
    if batch_normalised:
        norm = {name: stored[f"encoder.final_block.1.{name}"] for name in _BATCH_NORM}
        eps = stored.whole.get("encoder.final_block.1", {}).get("eps", 1e-5)
        scale = norm["weight"] / (norm["running_var"] + eps).sqrt()
        bias = scale * (bias - norm["running_mean"]) + norm["bias"]
        weight = scale[:, None] * weight
    activation = stored.whole.get("encoder.final_activation", {}).get("class", "ReLU")
    if activation != "ReLU":
        raise InputError(f"{stored.where}: its encoder ends in {activation}, not ReLU; {OTHERS}")
    return Encoder(weight, bias)


_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


def _normalised(stored: Stored) -> torch.Tensor:
    """Return the atoms of a dictionary layer, normalised as it does when it is not trained."""
    weights = stored[ATOMS]
    layer: dict[str, Any] = stored.whole.get("dictionary", {})
    kind = str(layer.get("normalization", "")).rpartition(".")[2]
    length = weights.norm(dim=1, keepdim=True)
    if not stored.whole:
        if not ((length - 1).abs() < UNIT).all():
            raise InputError(
                f"{stored.where}: how its atoms are normalised cannot be known from a state dict; "
                f"{SAVE_WHOLE}"
            )
        kind = "normalize_l2"
    by_kind = {
        "normalize_l2": length + TINY,
        "normalize_max_l2": length.amax(),
        "normalize_l1": weights.abs().sum(1, keepdim=True) + TINY,
        "normalize_max_l1": weights.abs().sum(1, keepdim=True).amax(),
        "normalize_identity": torch.ones(1, dtype=torch.float64),
    }
    if kind not in by_kind:
        raise InputError(f"{stored.where}: its atoms are normalised by '{kind}'; {OTHERS}")
    return weights / by_kind[kind] * stored["dictionary.multiplier"].exp()


def _archetypal(stored: Stored) -> torch.Tensor:
    """Return the atoms of a relaxed archetypal dictionary (Fel et al. 2025, arXiv:2502.12892)."""
    if not stored.whole:
        raise InputError(
            f"{stored.where} holds archetypes without their delta, by which atoms may leave their "
            f"convex hull; {SAVE_WHOLE}"
        )
    share = stored["dictionary.W"].relu()
    share = share / (share.sum(1, keepdim=True) + TINY)
    relaxed = stored["dictionary.Relax"]
    delta = stored.whole["dictionary"]["delta"]
    relaxed = relaxed * (delta / relaxed.norm(dim=1, keepdim=True)).clamp(max=1)
    return (share @ stored[ARCHETYPES] + relaxed) * stored["dictionary.multiplier"].exp()
