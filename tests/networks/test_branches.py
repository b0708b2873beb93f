"""Main branch and shortcut of residual blocks, against the blocks computed by hand."""

import pytest
import torch
import torchvision
from torch import nn

from vinfo_mpi.config.schema import Extract
from vinfo_mpi.networks import branches, taps
from vinfo_mpi.networks.layouts import Tap

NETWORKS = {
    "resnet18": "relu",  # BasicBlock, with and without downsampling
    "resnet50": "relu",  # Bottleneck, the same
    "regnet_y_400mf": "relu",
    "convnext_tiny": "none",
    "vit_b_16": "none",
}


def network(name):
    torch.manual_seed(0)
    module = torchvision.models.get_model(name, weights=None).eval()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):  # at their start they do next to nothing
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
        if hasattr(layer, "layer_scale"):  # else the main branch is a millionth of the shortcut
            layer.layer_scale.data.fill_(0.5)
    return module


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_main_branch_and_shortcut_give_the_output_of_the_block(name):
    module = network(name)
    size = 224 if name == "vit_b_16" else 64
    images = torch.randn(2, 3, size, size)
    found = taps.find(module, Extract(), images[:1])
    names = [tap.name for tap in found if tap.name != "encoder.ln"]
    blocks = branches.find(module, found, images)
    assert list(blocks) == names  # every block of these families
    sums = {}
    outputs = {}

    def add(branch, values):
        sums[branch] = sums.get(branch, 0) + values.clone()

    def keep(block, values):
        outputs[block] = values.clone()

    with branches.watched(module, blocks, add), branches.hooks.outputs(module, names, keep):
        module(images)
    for block in names:
        main = sums[f"{block}.main"]
        shortcut = sums[f"{block}.shortcut"]
        total = main + shortcut
        expected = total.relu() if NETWORKS[name] == "relu" else total
        torch.testing.assert_close(outputs[block], expected, rtol=1e-5, atol=1e-5)
        assert main.std() > 1e-3
        assert shortcut.std() > 1e-3


@torch.no_grad()
def test_the_branches_of_a_bottleneck_are_its_convolutions_and_its_downsampling():
    module = network("resnet50")
    images = torch.randn(2, 3, 64, 64)
    before = module.layer1(module.maxpool(module.relu(module.bn1(module.conv1(images)))))
    block = module.layer2[0]
    inner = block.relu(block.bn1(block.conv1(before)))
    inner = block.relu(block.bn2(block.conv2(inner)))
    main = block.bn3(block.conv3(inner))
    found = [Tap(name, name) for name in ("layer2.0", "layer4.2")]
    reading = taps.read(module, found, images, Extract(), branches.find(module, found, images))
    assert list(reading.branches) == [
        "layer2.0.main",
        "layer2.0.shortcut",
        "layer4.2.main",
        "layer4.2.shortcut",
    ]
    torch.testing.assert_close(reading.branches["layer2.0.main"], main.mean((2, 3)))
    torch.testing.assert_close(
        reading.branches["layer2.0.shortcut"], block.downsample(before).mean((2, 3))
    )


@torch.no_grad()
def test_pooling_of_branches_is_that_of_the_taps():
    module = network("resnet18")
    images = torch.randn(2, 3, 64, 64)
    found = [Tap(name, name) for name in ("layer1.0", "layer1.1")]
    blocks = branches.find(module, found[1:], images)
    reading = taps.read(module, found, images, Extract(pooling="grid:2"), blocks)
    # The shortcut of the second block is the output of the first.
    torch.testing.assert_close(reading.branches["layer1.1.shortcut"], reading.pooled["layer1.0"])


class Odd(nn.Module):
    """A block that looks like one it is not: something is multiplied to its sum."""

    def __init__(self):
        super().__init__()
        self.conv2 = nn.Conv2d(3, 3, 1)
        self.bn2 = nn.BatchNorm2d(3)
        self.downsample = None

    def forward(self, values):
        return 2 * (self.bn2(self.conv2(values)) + values)


@torch.no_grad()
def test_a_block_whose_branches_do_not_add_up_has_none():
    odd = type("BasicBlock", (Odd,), {})
    module = nn.Sequential(odd(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    assert branches.find(module, [Tap("0", "0")], torch.randn(4, 3, 8, 8)) == {}
    assert branches.find(module, [Tap("1", "1", axes="NC")], torch.randn(4, 3, 8, 8)) == {}


@torch.no_grad()
def test_the_share_of_values_that_are_not_zero():
    module = network("resnet18")
    images = torch.randn(3, 3, 64, 64)
    found = [Tap(name, name) for name in ("layer1.0", "layer4.1")]
    reading = taps.read(module, found, images, Extract())
    outputs = []
    module.layer4[1].register_forward_hook(lambda _, inputs, output: outputs.append(output.clone()))
    module(images)
    expected = [(feature_map.numpy() != 0).mean() for feature_map in outputs[0]]
    torch.testing.assert_close(
        reading.nonzero["layer4.1"].double(), torch.tensor(expected), rtol=1e-6, atol=0
    )
