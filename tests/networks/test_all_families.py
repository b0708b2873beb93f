"""Every tap, the last map and the logits of every family, against plain hooks of torch."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
import torchvision
from torch import nn

from vinfo_mpi.config.schema import Extract
from vinfo_mpi.networks import families, hooks, small_variants, taps

VIT = {
    "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48,
    "image_size": 32, "patch_size": 8, "num_labels": 7,
}  # fmt: skip
SWIN = {
    "image_size": 32, "patch_size": 2, "embed_dim": 12, "depths": [1, 1], "num_heads": [2, 2],
    "window_size": 4, "num_labels": 7,
}  # fmt: skip
STAGES = {"hidden_sizes": [16, 24], "depths": [1, 1], "num_labels": 7}


def cut(build, *sequences, **replaced):
    """Of each of these sequences the first module; others replaced: made in no time."""
    with torch.device("meta"):
        network = build()
    for name in sequences:
        network.set_submodule(name, network.get_submodule(name)[:1])
    for name, module in replaced.items():
        network.set_submodule(name, module)
    network.to_empty(device="cpu")
    for module in network.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return network


def torchvisions(name, **options):
    return lambda: torchvision.models.get_model(name, weights=None, num_classes=7, **options)


# What takes seconds to import, not in processes that only collect the tests.


def timms(name, **options):
    def build():
        import timm

        return timm.create_model(name, pretrained=False, num_classes=7, **options)

    return build


def transformer(kind, head="ForImageClassification", **options):
    def build():
        import transformers

        config = getattr(transformers, f"{kind}Config")(**options)
        return getattr(transformers, kind.removesuffix("Vision") + head)(config)

    return build


def tower(**options):
    def build():
        import open_clip.model

        return open_clip.model._build_vision_tower(16, open_clip.model.CLIPVisionCfg(**options))

    return build


def small_mixer():
    from timm.models.mlp_mixer import MlpMixer

    return MlpMixer(7, img_size=32, patch_size=8, num_blocks=2, embed_dim=24)


def small_convnext():
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    return ConvNeXt([CNBlockConfig(12, 24, 1), CNBlockConfig(24, None, 2)], num_classes=7)


def small_swin():
    return torchvision.models.SwinTransformer([4, 4], 12, [2, 2], [2, 2], [2, 2], num_classes=7)


def small_vit():
    network = torchvision.models.VisionTransformer(32, 8, 2, 2, 24, 48, num_classes=7)
    nn.init.normal_(network.heads.head.weight)
    return network


def small_alexnet():
    return cut(torchvisions("alexnet"), classifier=nn.Linear(256 * 6 * 6, 7))


def small_inception():
    return cut(timms("inception_resnet_v2"), "repeat", "repeat_1", "repeat_2")


def small_vgg():
    return small_variants.small_vgg("vgg11", 0.125, 7)


def small_densenet():
    return torchvision.models.DenseNet(8, (2, 2), 16, num_classes=7)


def small_maxvit():
    return torchvision.models.MaxVit(
        (64, 64), 8, 4, [8, 16], [1, 1], 8, stochastic_depth_prob=0.1, num_classes=7
    )


class Case(NamedTuple):
    """A network of a family, and how its blocks are laid out."""

    family: str
    build: Callable[[], nn.Module]
    pixels: int
    axes: str = "NCHW"
    prefix: int = 0  # tokens before the patches
    tokens: str | None = None  # what is read of tokens
    last: str | None = None  # the name of the last tap


CASES = {
    "torchvision alexnet": Case("AlexNet", small_alexnet, 64, last="features.11"),
    "torchvision vgg": Case("VGG", small_vgg, 32),
    "torchvision googlenet": Case(
        "GoogLeNet", torchvisions("googlenet", init_weights=False), 32, last="inception5b"
    ),
    "torchvision inception": Case(
        "Inception3", torchvisions("inception_v3", init_weights=False), 75, last="Mixed_7c"
    ),
    "torchvision squeezenet": Case(
        "SqueezeNet", torchvisions("squeezenet1_1"), 64, last="features.12"
    ),
    "torchvision regnet": Case(
        "RegNet", torchvisions("regnet_x_400mf"), 32, last="trunk_output.block4.block4-11"
    ),
    "torchvision densenet": Case("DenseNet", small_densenet, 32, last="features.norm5"),
    "torchvision mobilenet": Case(
        "EfficientNet", torchvisions("mobilenet_v3_small"), 64, last="features.12"
    ),
    "torchvision mnasnet": Case("EfficientNet", torchvisions("mnasnet0_5"), 64, last="layers.16"),
    "torchvision shufflenet": Case(
        "EfficientNet", torchvisions("shufflenet_v2_x0_5"), 64, last="conv5"
    ),
    "torchvision convnext": Case("ConvNeXt", small_convnext, 32, last="features.3.1"),
    "torchvision maxvit": Case("MaxVit", small_maxvit, 64, last="blocks.1.layers.0"),
    "torchvision swin": Case("SwinTransformer", small_swin, 32, "NHWC", last="norm"),
    "torchvision vit": Case(
        "VisionTransformer", small_vit, 32, "NTC", 1, "class", last="encoder.ln"
    ),
    "timm resnet": Case("ResNet", timms("test_resnet"), 64),
    "timm inception": Case("InceptionResnetV2", small_inception, 75, last="conv2d_7b"),
    "timm resnetv2": Case(
        "ResNetV2",
        timms("resnetv2_50", layers=(1, 1), channels=(16, 32), stem_chs=8),
        32,
        last="norm",
    ),
    "timm efficientnet": Case("EfficientNet", timms("test_efficientnet"), 64, last="bn2"),
    "timm convnext": Case("ConvNeXt", timms("test_convnext"), 64),
    "timm vit": Case(
        "VisionTransformer",
        timms("vit_tiny_patch16_224", img_size=64, depth=2),
        64,
        "NTC",
        1,
        "class",
        last="norm",
    ),
    "timm vit with registers, no class token": Case(
        "VisionTransformer",
        timms("vit_pwee_patch16_reg1_gap_256", img_size=64, depth=2),
        64,
        "NTC",
        1,
        "mean",
    ),
    "timm dinov2 with registers": Case(
        "VisionTransformer",
        timms("vit_small_patch14_reg4_dinov2", img_size=56, depth=2),
        56,
        "NTC",
        5,
        "class",
        last="norm",
    ),
    "timm siglip": Case(
        "VisionTransformer",
        timms("vit_base_patch16_siglip_224", img_size=64, depth=2, embed_dim=96, num_heads=2),
        64,
        "NTC",
        0,
        "mean",
        last="norm",
    ),
    "timm deit": Case(
        "VisionTransformer",
        timms("deit_tiny_distilled_patch16_224", img_size=64, depth=2),
        64,
        "NTC",
        2,
        "class",
        last="norm",
    ),
    "timm beit": Case(
        "VisionTransformer",
        timms("beit_base_patch16_224", img_size=64, depth=2, embed_dim=96, num_heads=2),
        64,
        "NTC",
        1,
        "mean",
    ),
    "timm eva": Case(
        "VisionTransformer",
        timms("eva02_tiny_patch14_224", img_size=56, depth=2),
        56,
        "NTC",
        1,
        "mean",
    ),
    "timm mixer": Case("MlpMixer", small_mixer, 32, "NTC", 0, "mean", last="norm"),
    "timm swin": Case(
        "SwinTransformer",
        timms(
            "swin_tiny_patch4_window7_224",
            img_size=32,
            window_size=4,
            depths=(1, 1),
            num_heads=(2, 2),
            embed_dim=12,
        ),
        32,
        "NHWC",
        last="norm",
    ),
    "transformers vit": Case(
        "VisionTransformer", transformer("ViT", **VIT), 32, "NTC", 1, "class", last="vit.layernorm"
    ),
    "transformers deit": Case(
        "VisionTransformer",
        transformer("DeiT", **VIT),
        32,
        "NTC",
        2,
        "class",
        last="deit.layernorm",
    ),
    "transformers dinov2": Case(
        "VisionTransformer",
        transformer("Dinov2", **VIT),
        32,
        "NTC",
        1,
        "class",
        last="dinov2.layernorm",
    ),
    "transformers dinov2 with registers": Case(
        "VisionTransformer",
        transformer("Dinov2WithRegisters", "Model", **VIT, num_register_tokens=4),
        32,
        "NTC",
        5,
        "class",
        last="layernorm",
    ),
    "transformers beit": Case(
        "VisionTransformer", transformer("Beit", **VIT), 32, "NTC", 1, "mean"
    ),
    "transformers siglip": Case(
        "VisionTransformer",
        transformer("SiglipVision", "VisionModel", **VIT),
        32,
        "NTC",
        0,
        "mean",
        last="post_layernorm",
    ),
    "transformers swin": Case(
        "SwinTransformer", transformer("Swin", **SWIN), 32, "NTC", 0, "mean", last="swin.layernorm"
    ),
    "transformers convnext": Case("ConvNeXt", transformer("ConvNext", num_stages=2, **STAGES), 32),
    "transformers resnet": Case("ResNet", transformer("ResNet", embedding_size=8, **STAGES), 32),
    "transformers mobilenet": Case(
        "EfficientNet",
        transformer("MobileNetV2", depth_multiplier=0.35, num_labels=7),
        64,
        last="mobilenet_v2.conv_1x1",
    ),
    "open_clip vit": Case(
        "VisionTransformer",
        tower(width=64, layers=2, patch_size=8, image_size=32),
        32,
        "NTC",
        1,
        "class",
        last="ln_post",
    ),
    "open_clip resnet": Case(
        "ResNet",
        tower(width=16, head_width=64, layers=[1, 1, 1, 1], image_size=64),
        64,
        last="layer4.0",
    ),
}


def by_hand(values, axes, prefix, tokens):
    """Return the vectors of all positions: (N, P, C)."""
    if axes == "NCHW":
        return values.flatten(2).transpose(1, 2)
    if axes == "NHWC":
        return values.flatten(1, 2)
    return values[:, :1] if tokens == "class" else values[:, prefix:]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@torch.no_grad()
def test_what_is_read_is_what_plain_hooks_see(case):
    torch.manual_seed(0)
    network = case.build().eval()
    images = torch.randn(2, 3, case.pixels, case.pixels)
    found = taps.find(network, Extract(), images[:1])
    reading = taps.read(network, found, images, Extract())
    recorded = {}
    for tap in found:
        network.get_submodule(tap.module).register_forward_hook(
            lambda module, inputs, output, name=tap.name: recorded.update(
                {name: (output if isinstance(output, torch.Tensor) else output[0]).clone()}
            )
        )
    outputs = network(images)
    assert len(found) >= 2
    assert families.family_of_block(network, found[0].module).name == case.family
    assert case.last is None or found[-1].name == case.last
    for tap in found:
        assert (tap.axes, tap.prefix, tap.tokens) == case[3:6], tap.name
        positions = by_hand(recorded[tap.name], *case[3:6])
        torch.testing.assert_close(
            reading.pooled[tap.name], positions.mean(1), rtol=1e-5, atol=1e-5
        )
    torch.testing.assert_close(reading.map, positions, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        hooks.first_tensor(reading.outputs), hooks.first_tensor(outputs), rtol=1e-5, atol=1e-5
    )


def test_every_row_of_the_table_has_a_case():
    cases = {case.family for case in CASES.values()}
    assert cases == {family.name for family in families.FAMILIES}
