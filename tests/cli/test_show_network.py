"""What is shown of a network before anything is run."""

import re

import torch
from torch import nn
from torchvision.models import VisionTransformer

from vinfo_mpi.cli.show_network import shown
from vinfo_mpi.config.schema import Extract


def lines(text):
    return [re.sub(r"\s+", " ", line).strip() for line in text.splitlines()]


def test_a_transformer_with_its_taps_tokens_and_head():
    torch.manual_seed(0)
    network = VisionTransformer(16, 8, 2, 2, hidden_dim=8, mlp_dim=16, num_classes=5).eval()
    nn.init.normal_(network.heads.head.weight)
    said = lines(shown(network, Extract(), torch.zeros(1, 3, 16, 16)))
    assert "taps 3, from encoder.layers.encoder_layer_0 to encoder.ln" in said
    assert "last map encoder.ln: NTC, 1 positions x 8 channels" in said
    assert "tokens the class token, the first of 1 before the patches" in said
    assert "head 5 outputs, linear in the mean of the last map" in said
    assert "tap encoder.ln LayerNorm (N, 5, 8) NTC class, 1 before" in said
    assert "conv_proj Conv2d (N, 8, 2, 2)" in said


def test_modules_are_shown_where_taps_cannot_be_found():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    said = lines(shown(network, Extract(), torch.zeros(1, 3, 16, 16)))
    assert any(line.startswith("taps extract.taps: auto knows the blocks of") for line in said)
    assert "1 ReLU (N, 4, 14, 14)" in said
