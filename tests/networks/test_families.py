"""The table of families, against the networks that torchvision makes of them."""

import pytest
import torch
from torch import nn
from torchvision import models

from vinfo_mpi.config.schema import Extract
from vinfo_mpi.networks import families, hooks, taps
from vinfo_mpi.networks.layouts import Tap

NETWORKS = {
    "ResNet": "resnet50",
    "RegNet": "regnet_y_400mf",
    "VGG": "vgg11_bn",
    "ConvNeXt": "convnext_tiny",
    "VisionTransformer": "vit_b_16",
}


@pytest.fixture(params=families.FAMILIES, ids=lambda family: family.name)
def family(request):
    return request.param


def test_what_the_table_says_is_so(family):
    """A network of the family has the blocks, with as many axes, and the modules of branches."""
    outputs = {}

    def keep(name, output):
        outputs[name] = output

    network = models.get_model(NETWORKS[family.name]).eval()
    size = 224 if family.name == "VisionTransformer" else 64
    images = torch.zeros(1, 3, size, size)
    names = [tap.name for tap in taps.find(network, Extract(), images)]
    with hooks.outputs(network, names, keep), torch.no_grad():
        network(images)
    assert families.family_of(network) is family
    for name in names:
        block = families.repeated_block(network, name)
        module = network.get_submodule(name)
        assert block is family.blocks[type(module).__name__]
        assert len(block.axes) == outputs[name].ndim
        assert all(isinstance(getattr(module, child), nn.Module) for child in block.main)


def test_every_row_is_tested():
    assert list(NETWORKS) == [family.name for family in families.FAMILIES]


def test_residual_blocks_are_those_with_branches():
    assert "Bottleneck" in families.RESIDUAL_BLOCKS
    assert "ReLU" not in families.RESIDUAL_BLOCKS


def test_modules_that_are_no_blocks():
    with torch.device("meta"):
        vgg = models.vgg11()
    assert families.repeated_block(vgg, "features.1") is not None
    assert families.repeated_block(vgg, "features.0") is None
    assert families.repeated_block(vgg, "classifier.1") is None  # a ReLU, too
    assert families.repeated_block(nn.Sequential(nn.ReLU()), "0") is None
    assert families.family_of(nn.Sequential(nn.ReLU())) is None


def test_channels_may_come_last():
    values = torch.randn(2, 5, 4, 3, generator=torch.Generator().manual_seed(0))  # N, H, W, C
    usual = values.permute(0, 3, 1, 2).contiguous()
    first, last = Tap("0", "0", axes="NCHW"), Tap("0", "0", axes="NHWC")
    for pooling in ("mean", "grid:2"):
        expected = taps.pool(usual, first, pooling)
        torch.testing.assert_close(taps.pool(values, last, pooling), expected)
    assert torch.equal(taps.positions(values, last), values.flatten(1, 2))
    assert torch.equal(taps.positions(usual, first), values.flatten(1, 2))
