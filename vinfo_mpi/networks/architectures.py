"""Networks by name, with weights from torchvision or from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn
from torchvision.models import VGG, ResNet

from vinfo_mpi.config.schema import Network
from vinfo_mpi.data.datasets import call_target
from vinfo_mpi.errors import InputError, choices
from vinfo_mpi.networks.states import load_state, read_state


def build(network: Network, classes: int) -> nn.Module:
    """Return the network that the configuration names, in evaluation mode, with its weights if it names any.

    Raises
    ------
    InputError
        If there is no such network or weights, or they do not fit.
    """
    if network.target is not None:
        module = call_target(network.target, "network.target")
        if not isinstance(module, nn.Module):
            raise InputError(f"network.target: {network.target} returned {type(module).__name__}, not a torch module")
    else:
        module = _from_torchvision(network, classes)
    if network.weights is not None and not _is_enum(network):
        load_state(module, read_state(Path(network.weights), "network.weights"), f"network.weights {network.weights}")
    return module.eval()


def own_transforms(network: Network) -> Any:
    """Return the transforms that belong to torchvision weights, None for any other weights."""
    return _enum(network).transforms() if _is_enum(network) else None


def _from_torchvision(network: Network, classes: int) -> nn.Module:
    name = str(network.name)
    names = torchvision.models.list_models(module=torchvision.models)
    if name not in names:
        raise InputError(f"network.name: torchvision has no classification model '{name}'; {choices(name, names)}")
    if _is_enum(network):
        if network.small_images:
            raise InputError(f"network.weights: {network.weights} does not fit network.small_images; set one of them alone")
        weights = _enum(network)
        try:
            return torchvision.models.get_model(name, weights=weights)
        except (OSError, RuntimeError) as error:
            cache = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
            raise InputError(
                f"network.weights: cannot download {network.weights} ({error}); put the file at {cache}, or give its path"
            ) from None
    if network.small_images:
        return _small(name, network.width, classes)
    return torchvision.models.get_model(name, weights=None, num_classes=classes)


def _is_enum(network: Network) -> bool:
    weights = network.weights
    if weights is None or network.name is None:
        return False
    if weights in _enum_names(network):
        return True
    if "/" not in weights and "." not in weights and not Path(weights).exists():
        raise InputError(
            f"network.weights: '{weights}' is neither a file nor weights of {network.name}; "
            f"{choices(weights, _enum_names(network))}"
        )
    return False


def _enum_names(network: Network) -> list[str]:
    try:
        return [weights.name for weights in torchvision.models.get_model_weights(str(network.name))]
    except ValueError:
        return []


def _enum(network: Network) -> Any:
    return torchvision.models.get_model_weights(str(network.name))[str(network.weights)]


def _small(name: str, width: float, classes: int) -> nn.Module:
    """Return the network of this name for images of 32 pixels or so, channels scaled."""
    with torch.device("meta"):  # a VGG's own classifier would take half a gigabyte
        plan = torchvision.models.get_model(name, weights=None)
    if isinstance(plan, ResNet):
        module = _small_resnet(torchvision.models.get_model(name, weights=None, num_classes=classes), width, classes)
    elif isinstance(plan, VGG):
        module = _small_vgg(plan, width, classes)
    else:
        raise InputError(f"network.small_images applies to ResNets and VGGs, not to {type(plan).__name__}; set it to false")
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    return module


def _small_resnet(module: ResNet, width: float, classes: int) -> ResNet:
    """Return the ResNet with a 3x3 stem without pooling (He et al. 2016, section 4.2)."""
    block = type(module.layer1[0])
    channels = [max(1, round(width * base)) for base in (64, 128, 256, 512)]
    module.inplanes = channels[0]
    module.conv1 = nn.Conv2d(3, channels[0], kernel_size=3, padding=1, bias=False)
    module.bn1 = nn.BatchNorm2d(channels[0])
    module.maxpool = nn.Identity()
    for number, count in enumerate(channels):
        depth = len(getattr(module, f"layer{number + 1}"))
        setattr(module, f"layer{number + 1}", module._make_layer(block, count, depth, stride=1 if number == 0 else 2))
    module.fc = nn.Linear(channels[-1] * block.expansion, classes)
    return module


def _small_vgg(module: VGG, width: float, classes: int) -> VGG:
    """Return the VGG without its last pooling, and with one linear layer on the mean of the last map as classifier."""
    layers: list[nn.Module] = []
    channels = 3
    for layer in module.features[:-1]:
        if isinstance(layer, nn.Conv2d):
            before, channels = channels, max(1, round(width * layer.out_channels))
            layer = nn.Conv2d(before, channels, kernel_size=3, padding=1)
        elif isinstance(layer, nn.BatchNorm2d):
            layer = nn.BatchNorm2d(channels)
        layers.append(layer)
    module.features = nn.Sequential(*layers)
    module.avgpool = nn.AdaptiveAvgPool2d(1)
    module.classifier = nn.Linear(channels, classes)
    return module
