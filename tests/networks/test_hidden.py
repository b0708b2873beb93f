"""Layers of hidden units: which there are, their axes, and what they give, against plain hooks."""

import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.models.convnext import CNBlockConfig

from vinfo_mpi.config.schema import Extract
from vinfo_mpi.networks import hidden

BLANK = torch.zeros(1, 3, 32, 32)


def seen(network, images):
    """Return what every layer gives, by position."""
    layers, units = hidden.find(network, Extract(), BLANK)
    values = {}

    def look(layer, output):
        values[layer.name] = hidden.by_position(output, layer.axes).clone()

    outputs = hidden.read(network, layers, images, Extract(), look)
    assert {name: of_layer.shape[2] for name, of_layer in values.items()} == units
    return values, outputs


def test_rectifiers_that_run_twice_and_work_in_place():
    torch.manual_seed(0)
    network = models.resnet18(num_classes=5).eval()
    images = torch.randn(2, 3, 32, 32)
    values, outputs = seen(network, images)
    assert [*values][:3] == ["relu", "layer1.0.relu#1", "layer1.0.relu#2"]
    assert len(values) == 17
    with torch.no_grad():
        stem = network.bn1(network.conv1(images)).relu()
        torch.testing.assert_close(values["relu"], stem.flatten(2).transpose(1, 2))
        torch.testing.assert_close(outputs, network(images))


def vision_transformer():
    return models.VisionTransformer(32, 16, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=24)


def swin():
    return models.SwinTransformer([4, 4], 8, depths=[1, 1], num_heads=[2, 2], window_size=[4, 4])


def convnext():
    return models.ConvNeXt([CNBlockConfig(8, 8, 1), CNBlockConfig(8, None, 1)])


@pytest.mark.parametrize(
    ("make", "layer", "axes", "units"),
    [
        (vision_transformer, "encoder.layers.encoder_layer_0.mlp.1", "NTC", 24),
        (swin, "features.1.0.mlp.1", "NHWC", 32),
        (convnext, "features.1.0.block.4", "NHWC", 32),
    ],
)
def test_mlps_of_transformers_and_what_lies_channels_last(make, layer, axes, units):
    layers, found = hidden.find(make().eval(), Extract(), BLANK)
    assert (layers[0].name, layers[0].axes, found[layer]) == (layer, axes, units)


def test_what_takes_the_place_of_a_layer_s_output():
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 6), nn.ReLU(), nn.Linear(6, 2))
    layers, _ = hidden.find(network, Extract(), BLANK)
    images = torch.randn(4, 3, 32, 32)
    outputs = hidden.read(network, layers, images, Extract(), lambda _, values: 0 * values)
    torch.testing.assert_close(outputs, network[3].bias.expand(4, 2))


def test_a_network_without_nonlinear_modules_has_none():
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 2))
    assert hidden.find(network, Extract(), BLANK) == ([], {})
