"""Sparse autoencoders as SAELens, saev and dictionary_learning write them."""

from __future__ import annotations

import torch

from vinfo_mpi.concepts.saes.stored import Stored
from vinfo_mpi.errors import InputError, choices
from vinfo_mpi.numerics.autoencoder import Autoencoder, Encoder, unshifted

OTHERS = "bring it as dictionary.sae: package.module:function"


def sae_lens(stored: Stored) -> Autoencoder:
    """Return an autoencoder of SAELens: sae_weights.safetensors, with cfg.json beside it."""
    settings = stored.settings
    if not settings:
        raise InputError(
            f"{stored.where} is a file of SAELens without its cfg.json, so that its activation and "
            "scaling cannot be known; put cfg.json beside it"
        )
    _check_scaling_of_sae_lens(stored)
    options = settings.get("activation_fn_kwargs") or {}
    kind = str(settings.get("architecture", "standard"))
    if kind == "standard" and "topk" in str(settings.get("activation_fn_str", "")):
        kind = "topk"
    atoms = stored["W_dec"]
    weight = stored["W_enc"].T
    offset = stored["b_dec"]
    shift = offset * float(settings.get("apply_b_dec_to_input", True))
    if kind == "gated":
        return Autoencoder(_gated(stored, weight, shift, "b_gate", "b_mag"), atoms, offset)
    bias = unshifted(weight, stored["b_enc"], shift)
    if kind == "standard":
        return Autoencoder(Encoder(weight, bias), atoms, offset)
    if kind == "jumprelu":
        return Autoencoder(Encoder(weight, bias, threshold=stored["threshold"]), atoms, offset)
    if kind == "topk":
        if settings.get("rescale_acts_by_decoder_norm"):
            length = atoms.norm(dim=1)
            weight = weight * length[:, None]
            bias = bias * length
            atoms = atoms / length[:, None]
        top_k = _number(stored, settings.get("k", options.get("k")), "k of cfg.json")
        return Autoencoder(Encoder(weight, bias, top_k=top_k), atoms, offset)
    raise InputError(
        f"{stored.where}: its architecture '{kind}' is not one of standard, topk, jumprelu, gated; "
        f"{OTHERS}"
    )


def _check_scaling_of_sae_lens(stored: Stored) -> None:
    """Raise `InputError` for inputs that are not used as they are."""
    scaling = str(stored.settings.get("normalize_activations", "none"))
    reason = {
        "none": "",
        "False": "",
        "expected_average_only_in": "by a factor that is not in the file; fold it into the weights "
        "first (fold_activation_norm_scaling_factor of SAELens)",
        "layer_norm": "each vector by itself, so that no sum of atoms rebuilds it; there is no "
        "dictionary to score",
        "constant_norm_rescale": "each vector by itself, so that no sum of atoms rebuilds it; "
        "there is no dictionary to score",
    }.get(scaling, f"in a way that is not known here; {OTHERS}")
    if reason:
        raise InputError(f"{stored.where}: normalize_activations: {scaling} scales {reason}")
    if stored.settings.get("finetuning_scaling_factor") or "scaling_factor" in stored.tensors:
        raise InputError(f"{stored.where}: finetuning_scaling_factor is not known here; {OTHERS}")
    if stored.settings.get("reshape_activations", "none") != "none":
        raise InputError(f"{stored.where}: reshape_activations is not known here; {OTHERS}")


def saev(stored: Stored) -> Autoencoder:
    """Return an autoencoder of saev: a line of JSON, then the weights.

    The first version subtracts b_dec from the input, later ones do not; in between, files of the
    same schema have been written by both.
    """
    header = stored.header or {}
    schema = header.get("schema", 0)
    weight = stored["W_enc"].T
    bias = stored["b_enc"]
    atoms = stored["W_dec"]
    offset = stored["b_dec"]
    if schema == 0:
        return Autoencoder(Encoder(weight, unshifted(weight, bias, offset)), atoms, offset)
    if schema != 2:
        raise InputError(
            f"{stored.where} is a file of saev of schema {schema}, which does not tell "
            f"whether b_dec is subtracted from the input; {OTHERS}"
        )
    activation = header.get("cfg", {}).get("activation", {})
    kind = activation.get("cls")
    if kind == "Relu":
        return Autoencoder(Encoder(weight, bias), atoms, offset)
    if kind in ("TopK", "BatchTopK"):  # both take the largest of every vector, negative or not
        top_k = _number(stored, activation.get("params", {}).get("top_k"), "top_k of its header")
        return Autoencoder(Encoder(weight, bias, top_k=top_k, signed=True), atoms, offset)
    raise InputError(f"{stored.where}: its activation '{kind}' is not known here; {OTHERS}")


def dictionary_learning(stored: Stored) -> Autoencoder:
    """Return an autoencoder of dictionary_learning: ae.pt, with config.json beside it."""
    kind = _class_of_dictionary_learning(stored)
    if kind == "JumpReluAutoEncoder":
        encoder = Encoder(stored["W_enc"].T, stored["b_enc"], threshold=stored["threshold"])
        return Autoencoder(encoder, stored["W_dec"], stored["b_dec"])
    if kind == "MatryoshkaBatchTopKSAE":
        weight = stored["W_enc"].T
        offset = stored["b_dec"]
        bias = unshifted(weight, stored["b_enc"], offset)
        above = stored["threshold"].expand(len(weight))
        return Autoencoder(Encoder(weight, bias, threshold=above), stored["W_dec"], offset)
    weight = stored["encoder.weight"]
    atoms = stored["decoder.weight"].T
    if kind == "AutoEncoder":
        # The library brings atoms to unit length when it loads them, and codes with them.
        length = atoms.norm(dim=1)
        offset = stored["bias"]
        bias = length * unshifted(weight, stored["encoder.bias"], offset)
        encoder = Encoder(weight * length[:, None], bias)
        return Autoencoder(encoder, atoms / length[:, None], offset)
    if kind == "AutoEncoderNew":
        return Autoencoder(Encoder(weight, stored["encoder.bias"]), atoms, stored["decoder.bias"])
    if kind == "GatedAutoEncoder":
        offset = stored["decoder_bias"]
        return Autoencoder(_gated(stored, weight, offset, "gate_bias", "mag_bias"), atoms, offset)
    offset = stored["b_dec"]
    bias = unshifted(weight, stored["encoder.bias"], offset)
    if kind == "AutoEncoderTopK":
        top_k = _number(stored, stored["k"].item(), "k")
        return Autoencoder(Encoder(weight, bias, top_k=top_k), atoms, offset)
    above = stored["threshold"].expand(len(weight))
    return Autoencoder(Encoder(weight, bias, threshold=above), atoms, offset)


_CLASSES = (
    "AutoEncoder",
    "AutoEncoderNew",
    "AutoEncoderTopK",
    "BatchTopKSAE",
    "GatedAutoEncoder",
    "JumpReluAutoEncoder",
    "MatryoshkaBatchTopKSAE",
)


def _class_of_dictionary_learning(stored: Stored) -> str:
    """Return the class that wrote a file: from config.json, else as its tensors tell."""
    named = stored.settings.get("trainer", {}).get("dict_class")
    if named is not None:
        if named not in _CLASSES:
            raise InputError(
                f"{stored.where}: its dict_class '{named}' is not known here "
                f"({choices(named, _CLASSES)}); {OTHERS}"
            )
        return str(named)
    if "W_enc" in stored.tensors and "k" not in stored.tensors:
        return "JumpReluAutoEncoder"
    for tensor, kind in (
        ("r_mag", "GatedAutoEncoder"),
        ("bias", "AutoEncoder"),
        ("decoder.bias", "AutoEncoderNew"),
    ):
        if tensor in stored.tensors:
            return kind
    raise InputError(
        f"{stored.where} is a file of dictionary_learning from which TopK and BatchTopK cannot be "
        "told; put its config.json beside it"
    )


def _gated(
    stored: Stored, weight: torch.Tensor, shift: torch.Tensor, gate: str, magnitude: str
) -> Encoder:
    """Return a gated encoder as one with thresholds; `gate` and `magnitude` name the biases."""
    scale = stored["r_mag"].exp()
    weight = weight * scale[:, None]
    threshold = stored[magnitude] - scale * stored[gate]
    return Encoder(weight, unshifted(weight, stored[magnitude], shift), threshold=threshold)


def _number(stored: Stored, value: object, name: str) -> int:
    """Return how many features are active at once."""
    number = int(value) if isinstance(value, (int, float)) else 0
    if number < 1:
        raise InputError(f"{stored.where}: {name} is {value}; expected how many features are kept")
    return number
