from collections import OrderedDict

import pytest
import torch
from torch import nn
from torchvision import models

from vinfo_mpi.config.schema import Extract, Network
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import architectures, taps
from vinfo_mpi.networks.pooling import of_map


@pytest.fixture
def resnet():
    """A narrow ResNet-18 whose normalisations do something, as after training."""
    torch.manual_seed(0)
    network = architectures.build(Network(name="resnet18", small_images=True, width=0.0625), 5)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.3)
            nn.init.normal_(module.bias, 0, 0.3)
    return network


@pytest.fixture
def images():
    return torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def read(network, images, **options):
    extract = Extract(**options)
    return taps.read(network, taps.find(network, extract, images[:1]), images, extract)


@torch.no_grad()
def first_block_by_hand(network, images):
    """Return the first block's main branch before the addition, and its output.

    Without any in-place operation.
    """
    block = network.layer1[0]
    x = network.bn1(network.conv1(images)).relu()
    main = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu()))
    return main, (main + x).relu()


def names_of(found):
    return [tap.name for tap in found]


# --- which modules ---


@pytest.mark.parametrize(
    "name, count, first, last",
    [
        ("resnet18", 8, "layer1.0", "layer4.1"),
        ("resnet50", 16, "layer1.0", "layer4.2"),
        ("vgg11", 8, "features.1", "features.19"),
        ("convnext_tiny", 18, "features.1.0", "features.7.2"),
        ("vit_b_16", 13, "encoder.layers.encoder_layer_0", "encoder.ln"),
    ],
)
def test_auto_finds_every_block(name, count, first, last):
    network = models.get_model(name).eval()
    size = 224 if name == "vit_b_16" else 64
    names = names_of(taps.find(network, Extract(), torch.zeros(1, 3, size, size)))
    assert len(names) == count
    assert (names[0], names[-1]) == (first, last)


def test_taps_come_in_forward_order(resnet, images):
    extract = Extract(taps=["layer4.1", "layer2.?", "conv1", "layer2.0"])
    names = names_of(taps.find(resnet, extract, images[:1]))
    assert names == ["conv1", "layer2.0", "layer2.1", "layer4.1"]
    assert list(read(resnet, images, taps=["layer4.1", "conv1"]).pooled) == ["conv1", "layer4.1"]


def test_unknown_tap_names_the_nearest(resnet, images):
    with pytest.raises(
        InputError, match=r"no module is called 'layer4\.3'; did you mean .*'layer4\.1'"
    ):
        taps.find(resnet, Extract(taps=["layer4.3"]), images)


def test_unused_module(resnet, images):
    resnet.spare = nn.ReLU()
    with pytest.raises(InputError, match="'spare' is not used in the forward pass"):
        taps.find(resnet, Extract(taps=["layer4.1", "spare"]), images)


def test_module_without_images_along_an_axis(images):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(0, 1))
    with pytest.raises(InputError, match=r"'1' gives shape \(8, 14, 14\); expected .* of images"):
        taps.find(network, Extract(taps=["1"]), images)


def test_unknown_family(images):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    with pytest.raises(
        InputError, match=r"auto knows .*, and finds none .* in this torch\..*\.Sequential; name"
    ):
        taps.find(network, Extract(), images)
    assert names_of(taps.find(network, Extract(taps=["1"]), images)) == ["1"]


def test_auto_does_not_stop_half_way(images):
    def network(layers):
        behind = [nn.Conv2d(3, 3, 1) for _ in range(layers)]
        known = models.resnet.BasicBlock(3, 3)
        return nn.Sequential(known, *behind, nn.Flatten(), nn.Linear(3 * 16 * 16, 2)).eval()

    assert names_of(taps.find(network(1), Extract(), images)) == ["0"]
    with pytest.raises(InputError, match="only up to '0', and 9 of 13 layers of this Sequential"):
        taps.find(network(9), Extract(), images)


def test_globs_do_not_cross_dots_unless_asked_to(resnet, images):
    def found(*patterns):
        return names_of(taps.find(resnet, Extract(taps=list(patterns)), images))

    assert found("layer?.1") == ["layer1.1", "layer2.1", "layer3.1", "layer4.1"]
    assert found("layer4.*") == ["layer4.0", "layer4.1"]
    assert "layer4.0.bn1" in found("layer4.**")
    resnet.layer4.append(nn.Identity())
    resnet.layer4.spare = nn.ReLU()
    resnet.layer4.forward = lambda values: resnet.layer4[1](resnet.layer4[0](values))
    assert found("layer4.*") == ["layer4.0", "layer4.1"]  # those that are called


class Shared(nn.Module):
    """One ReLU for all layers."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 6, 3, 2)
        self.relu, self.fc = nn.ReLU(), nn.Linear(6, 2)

    def forward(self, values):
        values = self.relu(self.conv1(values))
        return self.fc(self.relu(self.conv2(values)).mean((2, 3)))


def test_call_of_a_module_that_runs_twice_is_chosen(images):
    network = Shared().eval()
    with pytest.raises(InputError, match=r"'relu' is called 2 times .* 'relu#1' .* to 'relu#2'"):
        taps.find(network, Extract(taps=["relu"]), images)
    with pytest.raises(InputError, match=r"'relu#3': the module is called 2 times"):
        taps.find(network, Extract(taps=["relu#3"]), images)
    reading = read(network, images, taps=["relu#2", "conv2", "relu#1"])
    assert list(reading.pooled) == ["relu#1", "conv2", "relu#2"]
    with torch.no_grad():
        first = network.conv1(images).relu()
        second = network.conv2(first).relu()
    torch.testing.assert_close(reading.pooled["relu#1"], first.mean((2, 3)))
    torch.testing.assert_close(reading.pooled["relu#2"], second.mean((2, 3)))
    torch.testing.assert_close(reading.map.mean(1), second.mean((2, 3)))
    assert list(read(network, images, taps=["rel*"]).pooled) == ["relu#1", "relu#2"]


# --- what they show ---


def test_in_place_operations_do_not_reach_what_is_read(resnet, images):
    main, block = first_block_by_hand(resnet, images)
    reading = read(resnet, images, taps=["layer1.0", "layer1.0.bn2"])
    assert (main < 0).any()  # what the block's own ReLU, in place, would have removed
    torch.testing.assert_close(reading.pooled["layer1.0.bn2"], main.mean((2, 3)))
    torch.testing.assert_close(reading.pooled["layer1.0"], block.mean((2, 3)))
    before_addition = read(resnet, images, taps=["layer1.0.bn2"])
    torch.testing.assert_close(before_addition.map, main.flatten(2).transpose(1, 2))


# 8: the last map is a single position, whose transpose is no copy.
@pytest.mark.parametrize("size", [8, 16])
def test_network_without_in_place_operations_shows_the_same(resnet, images, size):
    images = images[..., :size, :size]
    options = {"taps": ["layer*.?.bn2", "layer?.?"]}
    inplace = read(resnet, images, **options)
    recorded = {}
    for name, module in resnet.named_modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
        if name in inplace.pooled:
            module.register_forward_hook(
                lambda module, inputs, output, name=name: recorded.update({name: output.clone()})
            )
    resnet(images)
    assert len(inplace.pooled) == 16
    for name, values in inplace.pooled.items():
        torch.testing.assert_close(values, recorded[name].mean((2, 3)))
    torch.testing.assert_close(
        read(resnet, images, taps=["layer4.1.bn2"]).map.mean(1),
        recorded["layer4.1.bn2"].mean((2, 3)),
    )


def test_outputs_are_the_logits(resnet, images):
    reading = read(resnet, images)
    with torch.no_grad():
        torch.testing.assert_close(reading.outputs, resnet(images))
        torch.testing.assert_close(resnet.fc(reading.map.mean(1)), reading.outputs)


def test_hooks_are_gone_afterwards(resnet, images):
    read(resnet, images)
    assert not any(module._forward_hooks for module in resnet.modules())


@torch.no_grad()
def test_equal_pooling_takes_the_smallest_grid_with_so_many_numbers(resnet, images):
    pooled = read(resnet, images, pooling="equal:20", input=True).pooled
    # 3 channels of 16 x 16 pixels; 4, 8, 16 and 32 channels of maps down to 2 x 2.
    sides = {"input": 3, "layer1": 3, "layer2": 2, "layer3": 2, "layer4": 1}
    widths = {"input": 27, "layer1": 36, "layer2": 32, "layer3": 64, "layer4": 32}
    for name, values in pooled.items():
        assert values.shape == (3, widths[name.split(".")[0]])
    _, block = first_block_by_hand(resnet, images)
    for name, values in (("input", images), ("layer1.0", block)):
        expected = nn.functional.adaptive_avg_pool2d(values, sides[name.split(".")[0]])
        torch.testing.assert_close(pooled[name], expected.flatten(1))


def test_a_grid_is_no_finer_than_the_map():
    values = torch.arange(24.0).reshape(1, 2, 3, 4)
    assert of_map(values, "equal:1000").shape == (1, 2 * 3 * 3)
    assert of_map(values, "equal:2").shape == (1, 2)
    torch.testing.assert_close(of_map(values, "equal:2"), values.mean((2, 3)))


@torch.no_grad()
def test_images_are_the_first_tap_where_they_are_asked_for(resnet, images):
    with_input = read(resnet, images, input=True)
    without = read(resnet, images)
    assert list(with_input.pooled) == ["input", *without.pooled]
    torch.testing.assert_close(with_input.pooled["input"], images.mean((2, 3)))
    assert (with_input.nonzero["input"] == 1).all()
    torch.testing.assert_close(with_input.map, without.map)


def test_a_module_called_as_the_images_are_told_apart(images):
    network = nn.Sequential(OrderedDict(input=nn.Conv2d(3, 4, 1), last=nn.ReLU()))
    with pytest.raises(InputError, match=r"extract\.input: a tap is called 'input' already"):
        read(network, images, taps=["input", "last"], input=True)


@pytest.mark.parametrize("grid", [1, 2, 3])
def test_grid_pooling(resnet, images, grid):
    _, block = first_block_by_hand(resnet, images)
    pooled = read(resnet, images, taps=["layer1.0"], pooling=f"grid:{grid}").pooled["layer1.0"]
    torch.testing.assert_close(pooled, nn.functional.adaptive_avg_pool2d(block, grid).flatten(1))
    assert pooled.shape == (3, 4 * grid * grid)


@pytest.mark.parametrize(
    "tokens, pooled, positions", [("class", 0, 1), ("mean", slice(1, None), 4)]
)
def test_tokens_of_transformers(images, tokens, pooled, positions):
    torch.manual_seed(0)
    network = models.VisionTransformer(16, 8, 2, 2, hidden_dim=8, mlp_dim=16, num_classes=5).eval()
    reading = read(network, images, taps=["encoder.layers.*"], tokens=tokens)
    with torch.no_grad():
        x = network.conv_proj(images).flatten(2).transpose(1, 2)
        x = torch.cat([network.class_token.expand(3, -1, -1), x], 1) + network.encoder.pos_embedding
        for block, values in zip(network.encoder.layers, reading.pooled.values(), strict=True):
            x = block(x)
            torch.testing.assert_close(
                values, x[:, pooled] if tokens == "class" else x[:, pooled].mean(1)
            )
    assert reading.map.shape == (3, positions, 8)
    torch.testing.assert_close(
        reading.map.mean(1), reading.pooled["encoder.layers.encoder_layer_1"]
    )
