"""Networks by name, with weights from torchvision or from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn

from vinfo_mpi.config.schema import Network
from vinfo_mpi.data.preprocessing import Preprocessing
from vinfo_mpi.data.targets import call_target
from vinfo_mpi.errors import InputError, choices
from vinfo_mpi.networks import condition, imported, libraries, library_inputs
from vinfo_mpi.networks.families import FAMILIES, family_of
from vinfo_mpi.networks.small_variants import initialise
from vinfo_mpi.networks.states import Choice, load_state, read_state


def build(network: Network, classes: int) -> nn.Module:
    """Return the network that the configuration names, in evaluation mode.

    It has the weights that are named, if any, and computes in float32.

    Raises
    ------
    InputError
        If there is no such network or weights, or they do not fit.
    """
    # Where outputs are chosen from, there are more of them than classes.
    outputs = classes if network.outputs in (None, "none") else None
    stored = imported.folder_of(network)
    if stored is not None:
        module = imported.build(stored)
    elif network.target is None and libraries.split(network):
        module = libraries.build(network, outputs)
    elif network.target is None:
        module = _from_torchvision(network, outputs)
    else:
        module = call_target(network.target, "network.target")
        if not isinstance(module, nn.Module):
            raise InputError(
                f"network.target: {network.target} returned {type(module).__name__}, "
                "not a torch module"
            )
    known = libraries.brings_weights(network) or _are_torchvisions(network)
    if network.weights is not None and not known:
        choice = Choice.from_config(network)
        state = read_state(Path(network.weights).expanduser(), "network.weights", choice)
        load_state(module, state, f"network.weights {network.weights}", choice)
    return condition.in_float32(module).eval()


def own_preprocessing(network: Network) -> Preprocessing | None:
    """Return what weights ask for where they come with it, None for any others."""
    if libraries.split(network):
        return library_inputs.own_preprocessing(network)
    if not _are_torchvisions(network):
        return None
    transforms = _torchvision_weights(network).transforms()
    side = transforms.crop_size[0]
    return Preprocessing(
        (side, side),
        list(transforms.mean),
        list(transforms.std),
        transforms.resize_size[0],
        transforms.interpolation.value,
        origins={"weights": f"of {network.weights}"},
    )


def promised_accuracy(network: Network) -> float | None:
    """Return the share of ImageNet's validation images that weights predict; None: not known."""
    if network.checkpoints or not _are_torchvisions(network):
        return None
    metrics = _torchvision_weights(network).meta.get("_metrics", {})
    accuracy = metrics.get("ImageNet-1K", {}).get("acc@1")
    return None if accuracy is None else accuracy / 100


def is_small_variant(network: Network) -> bool:
    """Whether the network is one of `small_variants`, which hold nothing but their state dicts."""
    brought = network.weights or network.target or imported.folder_of(network)
    return network.small_images and not brought and not libraries.split(network)


def _from_torchvision(network: Network, outputs: int | None) -> nn.Module:
    name = str(network.name)
    names = torchvision.models.list_models(module=torchvision.models)
    if name not in names:
        raise InputError(
            f"network.name: torchvision has no classification model '{name}'; "
            f"{choices(name, names)}"
        )
    if _are_torchvisions(network):
        return _with_torchvision_weights(network)
    if network.small_images:
        return _small(name, network.width, outputs or 1000)
    options = {} if outputs is None else {"num_classes": outputs}
    return torchvision.models.get_model(name, weights=None, **options)


def _with_torchvision_weights(network: Network) -> nn.Module:
    if network.small_images:
        raise InputError(
            f"network.weights: {network.weights} does not fit network.small_images; "
            "set only one of them"
        )
    weights = _torchvision_weights(network)
    try:
        return torchvision.models.get_model(str(network.name), weights=weights)
    except (OSError, RuntimeError) as error:
        cache = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
        raise InputError(
            f"network.weights: cannot download {network.weights} ({error}); "
            f"put the file at {cache}, or give its path"
        ) from None


def _small(name: str, width: float, classes: int) -> nn.Module:
    """Return the network of this name for images of 32 pixels or so, channels scaled."""
    with torch.device("meta"):  # its class alone is asked for: no memory, no random numbers
        original = torchvision.models.get_model(name, weights=None)
    family = family_of(original)
    if family is None or family.small is None:
        known = " and ".join(f"{family.name}s" for family in FAMILIES if family.small is not None)
        raise InputError(
            f"network.small_images applies to {known}, not to {type(original).__name__}; "
            "set it to false"
        )
    module = family.small(name, width, classes)
    initialise(module)
    return module


def _are_torchvisions(network: Network) -> bool:
    """Whether the weights are a name of torchvision's, not a file."""
    weights = network.weights
    if weights is None or network.name is None or libraries.split(network):
        return False
    names = _names_of_weights(network)
    if weights in names:
        return True
    if "/" not in weights and "." not in weights and not Path(weights).exists():
        raise InputError(
            f"network.weights: '{weights}' is neither a file nor weights of {network.name}; "
            f"{choices(weights, names)}"
        )
    return False


def _names_of_weights(network: Network) -> list[str]:
    try:
        return [weights.name for weights in torchvision.models.get_model_weights(str(network.name))]
    except ValueError:
        return []


def _torchvision_weights(network: Network) -> Any:
    return torchvision.models.get_model_weights(str(network.name))[str(network.weights)]
