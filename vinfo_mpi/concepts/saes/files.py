"""Reading a sparse autoencoder from a file, whichever library wrote it."""

from __future__ import annotations

from dataclasses import replace

import torch

from vinfo_mpi.concepts.saes import formats, overcomplete, stored
from vinfo_mpi.concepts.saes.stored import Stored
from vinfo_mpi.config.schema import Dictionary
from vinfo_mpi.errors import InputError
from vinfo_mpi.numerics.autoencoder import Autoencoder

LIBRARIES = "Overcomplete, SAELens, saev, dictionary_learning"


def read(options: Dictionary, channels: int, tap: str) -> Autoencoder:
    """Return the autoencoder of a file, in float64.

    Parameters
    ----------
    options : Dictionary
        Says which file.
    channels : int
        Channels of the tap that it is applied to, whose name is `tap`.

    Raises
    ------
    InputError
        If it cannot be read, is not known, or is not made for this tap.
    """
    if options.autoencoder is None:
        raise ValueError("dictionary.sae names no file")
    content = stored.read(options.autoencoder, options.autoencoder_settings)
    try:
        model = _built(content, options.top_k)
    except (RuntimeError, IndexError):  # which torch raises where shapes do not match
        held = ", ".join(f"{name} {tuple(each.shape)}" for name, each in content.tensors.items())
        raise InputError(
            f"{content.where}: the shapes of its tensors do not match ({held}); save it again"
        ) from None
    return _checked(model, content.where, channels, tap)


def _built(content: Stored, top_k: int | None) -> Autoencoder:
    """Return the autoencoder, by what the file looks like."""
    tensors = content.tensors
    if overcomplete.ATOMS in tensors or overcomplete.ARCHETYPES in tensors:
        model = overcomplete.read(content)
        if overcomplete.lacks_activation(content):
            return _completed(model, top_k, content.where)
    elif content.header is not None and "W_enc" in tensors:
        model = formats.saev(content)
    elif "W_enc" in tensors and content.path.suffix == ".safetensors":
        model = formats.sae_lens(content)
    elif tensors.keys() & {"encoder.weight", "W_enc"}:
        model = formats.dictionary_learning(content)
    else:
        held = ", ".join(sorted(tensors)[:8]) or "no tensors"
        raise InputError(
            f"{content.where} holds {held}, which none of {LIBRARIES} writes; {formats.OTHERS}"
        )
    if top_k is not None and top_k != (model.encoder.top_k or 0):
        said = model.encoder.top_k or "no number of active features"
        raise InputError(f"{content.where} says {said}, dictionary.top_k {top_k}; leave it out")
    return model


def _completed(model: Autoencoder, top_k: int | None, where: str) -> Autoencoder:
    """Return the autoencoder with the number of active features that its file leaves open."""
    if top_k is None:
        raise InputError(
            f"{where} is a state dict of Overcomplete, which does not say how many features are "
            "active at once; set dictionary.top_k (0: all that are positive), or "
            f"{overcomplete.SAVE_WHOLE}"
        )
    return replace(model, encoder=replace(model.encoder, top_k=top_k or None))


def _checked(model: Autoencoder, where: str, channels: int, tap: str) -> Autoencoder:
    """Return the autoencoder; raise `InputError` where its tensors do not fit, or the tap."""
    encoder = model.encoder
    if encoder.weight.ndim != 2:
        raise InputError(
            f"{where}: its encoder has shape {tuple(encoder.weight.shape)}, not 2 axes"
        )
    features, width = encoder.weight.shape
    if width != channels:
        raise InputError(
            f"{where} encodes vectors of {width} numbers, but {tap} has {channels} channels; name "
            "the layer that it was trained on last in extract.taps"
        )
    expected = {
        "encoder's bias": (encoder.bias, (features,)),
        "atoms": (model.atoms, (features, channels)),
        "decoder's bias": (model.offset, (channels,)),
    }
    if encoder.threshold is not None:
        expected["thresholds"] = (encoder.threshold, (features,))
    for name, (tensor, shape) in expected.items():
        if tuple(tensor.shape) != shape:
            raise InputError(f"{where}: its {name} have shape {tuple(tensor.shape)}, not {shape}")
    every = [encoder.weight, *(tensor for tensor, _ in expected.values())]
    if not all(torch.isfinite(tensor).all() for tensor in every):
        raise InputError(f"{where} holds NaN or infinity; train it again")
    return model
