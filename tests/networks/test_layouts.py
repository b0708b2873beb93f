"""Axes and tokens that are told from the forward pass, of networks that no table knows."""

import pytest
import torch
from torch import nn
from torchvision.models import SwinTransformer

from vinfo_mpi.config.schema import Extract
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import layouts, taps, tokens


@pytest.fixture
def images():
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def recorded(network, images, name):
    """Return what a module gives, by a plain hook."""
    seen = []
    handle = network.get_submodule(name).register_forward_hook(
        lambda module, inputs, output: seen.append(output.clone())
    )
    network(images)
    handle.remove()
    return seen[0]


def found(network, images, **options):
    return taps.find(network, Extract(**options), images[:1])


@torch.no_grad()
def read(network, images, **options):
    extract = Extract(**options)
    return taps.read(network, taps.find(network, extract, images[:1]), images, extract)


def test_channels_of_swin_come_last(images):
    torch.manual_seed(0)
    network = SwinTransformer([4, 4], 12, [2, 2], [2, 2], [2, 2], num_classes=3).eval()
    names = ["features.1.*", "features.3.1", "norm", "permute"]
    reading = read(network, images, taps=names)
    assert [tap.axes for tap in found(network, images, taps=names)] == ["NHWC"] * 4 + ["NCHW"]
    for name in ("features.1.0", "features.3.1", "norm"):
        values = recorded(network, images, name)
        torch.testing.assert_close(reading.pooled[name], values.mean((1, 2)))
    torch.testing.assert_close(reading.map.mean(1), reading.pooled["norm"])


class Square(nn.Module):
    """A map of as many channels as rows, turned between layers that do not tell."""

    def __init__(self):
        super().__init__()
        self.conv, self.turn, self.fc = nn.Conv2d(3, 8, 4, 4), nn.Identity(), nn.Linear(8, 2)

    def forward(self, values):
        values = self.turn(self.conv(values).permute(0, 2, 3, 1))
        return self.fc(values.mean((1, 2)))


def test_layout_that_cannot_be_told_is_asked_for(images):
    network = Square().eval()
    with pytest.raises(InputError, match=r"which axis of 'turn', of shape \(N, 8, 8, 8\), .*NHWC"):
        found(network, images, taps=["turn"])
    values = recorded(network, images, "turn")
    for layout in ("NHWC", {"tu*": "NHWC"}):
        reading = read(network, images, taps=["turn"], layout=layout)
        torch.testing.assert_close(reading.pooled["turn"], values.mean((1, 2)))
    with pytest.raises(InputError, match=r"which is not NTC; it may be NCHW or NHWC"):
        found(network, images, taps=["turn"], layout="NTC")


class Transformer(nn.Module):
    """A home-made transformer with class token and registers, or without."""

    def __init__(self, first=True, prefix=0, last=False):
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, 12, 8, 8)
        self.prefix = nn.Parameter(torch.randn(1, prefix, 12))
        self.position = nn.Parameter(torch.randn(1, 16 + prefix, 12))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(12, 2, 16, dropout=0, batch_first=first) for _ in range(2)
        )
        self.first, self.last = first, last
        self.fc = nn.Linear(12, 2)

    def forward(self, images):
        values = self.patches(images).flatten(2).transpose(1, 2)
        prefix = self.prefix.expand(len(values), -1, -1)
        values = torch.cat([values, prefix] if self.last else [prefix, values], 1) + self.position
        values = values if self.first else values.transpose(0, 1)
        for block in self.blocks:
            values = block(values)
        values = values if self.first else values.transpose(0, 1)
        return self.fc(values[:, 0] if self.prefix.shape[1] else values.mean(1))


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("prefix", [0, 1, 5])
@pytest.mark.parametrize("wanted", ["auto", "mean"])
def test_tokens_before_the_patches_are_counted(images, first, prefix, wanted):
    network = Transformer(first, prefix).eval()
    reading = read(network, images, taps=["blocks.*"], tokens=wanted)
    for name in ("blocks.0", "blocks.1"):
        values = recorded(network, images, name)
        values = values if first else values.transpose(0, 1)
        mean = values[:, prefix:].mean(1)
        expected = values[:, 0] if wanted == "auto" and prefix else mean
        torch.testing.assert_close(reading.pooled[name], expected, atol=1e-5, rtol=1e-5)
        assert reading.nonzero[name].shape == (3,)  # one for every image


def test_class_token_that_is_not_there_is_refused(images):
    with pytest.raises(InputError, match=r"tokens: class, but 'blocks\.1' has no class token"):
        found(Transformer().eval(), images, taps=["blocks.1"], tokens="class")


def test_class_token_that_the_head_does_not_look_at_is_not_read(images):
    network = Transformer(prefix=1).eval()
    network.forward = lambda images: network.fc(
        network.blocks[0](_with_prefix(network, images))[:, 1:].mean(1)
    )
    [tap] = found(network, images, taps=["blocks.0"])
    assert (tap.prefix, tap.tokens) == (1, "mean")
    assert tokens.sentence([tap]) == "tokens: the mean of the patches, without the 1 before them"


def _with_prefix(network, images):
    values = network.patches(images).flatten(2).transpose(1, 2)
    return torch.cat([network.prefix.expand(len(values), -1, -1), values], 1) + network.position


class Conditioned(Transformer):
    """A class token that differs from image to image from the beginning."""

    def forward(self, images):
        values = self.patches(images).flatten(2).transpose(1, 2)
        values = torch.cat([values.mean(1, keepdim=True), values], 1) + self.position
        for block in self.blocks:
            values = block(values)
        return self.fc(values[:, 0])


def test_tokens_that_are_no_grid_over_the_image_are_asked_for(images):
    network = Conditioned(prefix=1).eval()
    sentence = (
        r"0 of the 17 tokens of 'blocks\.0' .* 17 do not form a grid over an image of 32 x 32"
    )
    with pytest.raises(InputError, match=sentence):
        found(network, images, taps=["blocks.*"])
    reading = read(network, images, taps=["blocks.*"], prefix_tokens=1, tokens="mean")
    expected = recorded(network, images, "blocks.1")[:, 1:].mean(1)
    torch.testing.assert_close(reading.pooled["blocks.1"], expected)


@pytest.mark.parametrize(
    ("size", "fits"), [((32, 32), [16, 49]), ((32, 64), [8, 32]), ((30, 47), [6, 15])]
)
def test_which_numbers_of_patches_fill_an_image(size, fits):
    for patches in fits:
        assert layouts._fill_the_image(patches, size)
        assert not layouts._fill_the_image(patches + 1, size)


def test_tokens_after_the_patches_are_asked_for(images):
    network = Transformer(prefix=2, last=True).eval()
    with pytest.raises(InputError, match=r"which of the 18 tokens of 'blocks\.1' are not patches"):
        found(network, images, taps=["blocks.1"])
    [tap] = found(network, images, taps=["blocks.1"], prefix_tokens=0)
    assert (tap.prefix, tap.tokens) == (0, "mean")
