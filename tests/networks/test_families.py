"""The table of families, against the networks that torchvision makes of them."""

import torch
from torch import nn
from torchvision import models

from vinfo_mpi.networks import families, taps
from vinfo_mpi.networks.layouts import Tap


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
