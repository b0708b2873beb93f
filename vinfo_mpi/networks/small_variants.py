"""Networks of known families for images of 32 pixels or so, with any number of channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torchvision.models import VGG, ResNet


def small_resnet(name: str, width: float, classes: int) -> ResNet:
    """Return the ResNet with a 3x3 stem without pooling (He et al. 2016, section 4.2)."""
    from torchvision.models import get_model

    network = get_model(name, weights=None, num_classes=classes)
    block = type(network.layer1[0])
    channels = [max(1, round(width * base)) for base in (64, 128, 256, 512)]
    network.inplanes = channels[0]
    network.conv1 = nn.Conv2d(3, channels[0], kernel_size=3, padding=1, bias=False)
    network.bn1 = nn.BatchNorm2d(channels[0])
    network.maxpool = nn.Identity()
    for number, count in enumerate(channels, start=1):
        depth = len(getattr(network, f"layer{number}"))
        stride = 1 if number == 1 else 2
        layer = network._make_layer(block, count, depth, stride=stride)
        setattr(network, f"layer{number}", layer)
    network.fc = nn.Linear(channels[-1] * block.expansion, classes)
    return network


def small_vgg(name: str, width: float, classes: int) -> VGG:
    """Return the VGG without its last pooling, its classifier one linear layer.

    The layer acts on the mean of the last map.
    """
    from torchvision.models import get_model

    with torch.device("meta"):  # its own classifier would take half a gigabyte
        network = get_model(name, weights=None)
    layers: list[nn.Module] = []
    channels = 3
    for layer in network.features[:-1]:
        if isinstance(layer, nn.Conv2d):
            before = channels
            channels = max(1, round(width * layer.out_channels))
            layer = nn.Conv2d(before, channels, kernel_size=3, padding=1)
        elif isinstance(layer, nn.BatchNorm2d):
            layer = nn.BatchNorm2d(channels)
        layers.append(layer)
    network.features = nn.Sequential(*layers)
    network.avgpool = nn.AdaptiveAvgPool2d(1)
    network.classifier = nn.Linear(channels, classes)
    return network


def initialise(network: nn.Module) -> None:
    """Give all convolutions new weights, as ResNets and VGGs have them at the start."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
