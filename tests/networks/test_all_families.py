"""Every tap, the last map and the logits of every family, against plain hooks of torch."""

import pytest
import torch
import torchvision
from torch import nn

from vinfo_mpi.config.schema import Extract
from vinfo_mpi.networks import hooks, taps

timm = pytest.importorskip("timm")
transformers = pytest.importorskip("transformers")
open_clip = pytest.importorskip("open_clip")

VIT = {
    "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48,
    "image_size": 32, "patch_size": 8, "num_labels": 7,
}  # fmt: skip
SWIN = {
    "image_size": 32, "patch_size": 2, "embed_dim": 12, "depths": [1, 1], "num_heads": [2, 2],
    "window_size": 4, "num_labels": 7,
}  # fmt: skip
STAGES = {"hidden_sizes": [16, 24], "depths": [1, 1], "num_labels": 7}


def torchvisions(name, **options):
    return lambda: torchvision.models.get_model(name, weights=None, num_classes=7, **options)


def timms(name, **options):
    return lambda: timm.create_model(name, pretrained=False, num_classes=7, **options)


def transformer(kind, head="ForImageClassification", **options):
    def build():
        config = getattr(transformers, f"{kind}Config")(**options)
        return getattr(transformers, kind.removesuffix("Vision") + head)(config)

    return build


def tower(**options):
    from open_clip.model import CLIPVisionCfg, _build_vision_tower

    return lambda: _build_vision_tower(16, CLIPVisionCfg(width=64, **options))


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


def small_densenet():
    return torchvision.models.DenseNet(8, (2, 2), 16, num_classes=7)


def small_maxvit():
    return torchvision.models.MaxVit(
        (64, 64), 8, 4, [8, 16], [1, 1], 8, stochastic_depth_prob=0.1, num_classes=7
    )


# The network; pixels; axes; tokens before the patches; what is read of tokens; last tap.
CASES = {
    "torchvision squeezenet": (torchvisions("squeezenet1_1"), 64, "NCHW", 0, None, "features.12"),
    "torchvision regnet": (
        torchvisions("regnet_x_400mf"), 32, "NCHW", 0, None, "trunk_output.block4.block4-11"
    ),
    "torchvision densenet": (small_densenet, 32, "NCHW", 0, None, "features.norm5"),
    "torchvision mobilenet": (
        torchvisions("mobilenet_v3_small"), 64, "NCHW", 0, None, "features.12"
    ),
    "torchvision mnasnet": (torchvisions("mnasnet0_5"), 64, "NCHW", 0, None, "layers.16"),
    "torchvision shufflenet": (torchvisions("shufflenet_v2_x0_5"), 64, "NCHW", 0, None, "conv5"),
    "torchvision convnext": (small_convnext, 32, "NCHW", 0, None, "features.3.1"),
    "torchvision maxvit": (small_maxvit, 64, "NCHW", 0, None, "blocks.1.layers.0"),
    "torchvision swin": (small_swin, 32, "NHWC", 0, None, "norm"),
    "torchvision vit": (small_vit, 32, "NTC", 1, "class", "encoder.ln"),
    "timm resnet": (timms("test_resnet"), 64, "NCHW", 0, None, None),
    "timm resnetv2": (
        timms("resnetv2_50", layers=(1, 1), channels=(16, 32), stem_chs=8),
        32, "NCHW", 0, None, "norm",
    ),
    "timm efficientnet": (timms("test_efficientnet"), 64, "NCHW", 0, None, "bn2"),
    "timm convnext": (timms("test_convnext"), 64, "NCHW", 0, None, None),
    "timm vit": (
        timms("vit_tiny_patch16_224", img_size=64, depth=2), 64, "NTC", 1, "class", "norm"
    ),
    "timm vit with registers, no class token": (
        timms("vit_pwee_patch16_reg1_gap_256", img_size=64, depth=2), 64, "NTC", 1, "mean", None
    ),
    "timm dinov2 with registers": (
        timms("vit_small_patch14_reg4_dinov2", img_size=56, depth=2), 56, "NTC", 5, "class", "norm"
    ),
    "timm siglip": (
        timms("vit_base_patch16_siglip_224", img_size=64, depth=2, embed_dim=96, num_heads=2),
        64, "NTC", 0, "mean", "norm",
    ),
    "timm deit": (
        timms("deit_tiny_distilled_patch16_224", img_size=64, depth=2),
        64, "NTC", 2, "class", "norm",
    ),
    "timm beit": (
        timms("beit_base_patch16_224", img_size=64, depth=2, embed_dim=96, num_heads=2),
        64, "NTC", 1, "mean", None,
    ),
    "timm eva": (
        timms("eva02_tiny_patch14_224", img_size=56, depth=2), 56, "NTC", 1, "mean", None
    ),
    "timm mixer": (small_mixer, 32, "NTC", 0, "mean", "norm"),
    "timm swin": (
        timms("swin_tiny_patch4_window7_224", img_size=32, window_size=4, depths=(1, 1),
              num_heads=(2, 2), embed_dim=12),
        32, "NHWC", 0, None, "norm",
    ),
    "transformers vit": (transformer("ViT", **VIT), 32, "NTC", 1, "class", "vit.layernorm"),
    "transformers deit": (transformer("DeiT", **VIT), 32, "NTC", 2, "class", "deit.layernorm"),
    "transformers dinov2": (
        transformer("Dinov2", **VIT), 32, "NTC", 1, "class", "dinov2.layernorm"
    ),
    "transformers dinov2 with registers": (
        transformer("Dinov2WithRegisters", "Model", **VIT, num_register_tokens=4),
        32, "NTC", 5, "class", "layernorm",
    ),
    "transformers beit": (transformer("Beit", **VIT), 32, "NTC", 1, "mean", None),
    "transformers siglip": (
        transformer("SiglipVision", "VisionModel", **VIT), 32, "NTC", 0, "mean", "post_layernorm"
    ),
    "transformers swin": (transformer("Swin", **SWIN), 32, "NTC", 0, "mean", "swin.layernorm"),
    "transformers convnext": (
        transformer("ConvNext", num_stages=2, **STAGES), 32, "NCHW", 0, None, None
    ),
    "transformers resnet": (
        transformer("ResNet", embedding_size=8, **STAGES), 32, "NCHW", 0, None, None
    ),
    "transformers mobilenet": (
        transformer("MobileNetV2", depth_multiplier=0.35, num_labels=7),
        64, "NCHW", 0, None, "mobilenet_v2.conv_1x1",
    ),
    "open_clip vit": (
        tower(layers=2, patch_size=8, image_size=32), 32, "NTC", 1, "class", "ln_post"
    ),
    "open_clip resnet": (
        tower(layers=[1, 1, 1, 1], image_size=64), 64, "NCHW", 0, None, "layer4.0"
    ),
}  # fmt: skip


def by_hand(values, axes, prefix, tokens):
    """Return the vectors of all positions: (N, P, C)."""
    if axes == "NCHW":
        return values.flatten(2).transpose(1, 2)
    if axes == "NHWC":
        return values.flatten(1, 2)
    return values[:, :1] if tokens == "class" else values[:, prefix:]


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_what_is_read_is_what_plain_hooks_see(case):
    build, size, axes, prefix, tokens, last = CASES[case]
    torch.manual_seed(0)
    network = build().eval()
    images = torch.randn(2, 3, size, size)
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
    assert last is None or found[-1].name == last
    for tap in found:
        assert (tap.axes, tap.prefix, tap.tokens) == (axes, prefix, tokens), tap.name
        positions = by_hand(recorded[tap.name], axes, prefix, tokens)
        torch.testing.assert_close(
            reading.pooled[tap.name], positions.mean(1), rtol=1e-5, atol=1e-5
        )
    torch.testing.assert_close(reading.map, positions, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        hooks.first_tensor(reading.outputs), hooks.first_tensor(outputs), rtol=1e-5, atol=1e-5
    )
