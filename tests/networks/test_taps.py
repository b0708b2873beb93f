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


# --- which modules ---


@pytest.mark.parametrize(
    "name, count, first, last",
    [
        ("resnet18", 8, "layer1.0", "layer4.1"),
        ("resnet50", 16, "layer1.0", "layer4.2"),
        ("vgg11", 8, "features.1", "features.19"),
        ("convnext_tiny", 18, "features.1.0", "features.7.2"),
        ("vit_b_16", 12, "encoder.layers.encoder_layer_0", "encoder.layers.encoder_layer_11"),
    ],
)
def test_auto_finds_every_block(name, count, first, last):
    with torch.device("meta"):  # shapes alone: nothing is computed
        network = models.get_model(name).eval()
        names = taps.find(network, Extract(), torch.zeros(1, 3, 224, 224))
    assert len(names) == count
    assert (names[0], names[-1]) == (first, last)


def test_taps_come_in_forward_order(resnet, images):
    extract = Extract(taps=["layer4.1", "layer2.?", "conv1", "layer2.0"])
    names = taps.find(resnet, extract, images[:1])
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


def test_module_that_gives_no_map():
    with (
        torch.device("meta"),
        pytest.raises(InputError, match=r"'encoder\..*self_attention' gives shape \(\); expected"),
    ):
        network = models.vit_b_16().eval()
        taps.find(network, Extract(taps=["*_3.self_attention"]), torch.zeros(1, 3, 224, 224))


def test_unknown_family(images):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    with pytest.raises(
        InputError, match=r"auto knows the blocks of ResNet, .*, not of Sequential; name modules"
    ):
        taps.find(network, Extract(), images)
    assert taps.find(network, Extract(taps=["1"]), images) == ["1"]


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
    reading = read(network, images, tokens=tokens)
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
