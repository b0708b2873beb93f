"""The families of networks, in one table: where they are read, how they branch, how they shrink.

A new family is a new row; whatever else asks about families asks this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from torch import nn

from vinfo_mpi.networks import small_variants


@dataclass(frozen=True)
class RepeatedBlock:
    """The module that a family repeats: a tap at every repetition.

    Attributes
    ----------
    axes : str, or None
        Of its output: images N, channels C, rows H and columns W of a map, tokens T; None where
        blocks of this name differ.
    main : tuple of str
        Its modules whose outputs add up to the main branch; none where it is not residual.
    shortcut : str, or None
        Its module that adapts the shortcut, where it has one: else the shortcut is its input.
    """

    axes: str | None
    main: tuple[str, ...] = ()
    shortcut: str | None = None


@dataclass(frozen=True)
class Family:
    """A row of the table.

    Attributes
    ----------
    name : str
        Of the class of the whole network, or of one that this inherits from: naming classes
        instead of importing them spares what runs no network the seconds of torchvision.
    blocks : dict of str to RepeatedBlock
        By the name of the block's class: networks of other classes that hold such blocks are
        read there as well.
    inside : str, or None
        The module that holds the blocks, where their class is too common to tell: then they count
        there alone, and in this family's networks alone.
    last : tuple of str
        Modules beside the blocks, or beside what holds them, that may give the last feature map
        before the head, as the final norm does; "-1" is the last of a sequence.
    small : function of a name, a width and a number of classes, or None
        Returns the variant for images of 32 pixels or so, its channels scaled by the width.
    """

    name: str
    blocks: Mapping[str, RepeatedBlock]
    inside: str | None = None
    last: tuple[str, ...] = ()
    small: Callable[[str, float, int], nn.Module] | None = None

    def holds(self, network: nn.Module) -> bool:
        """Whether a network is of this family."""
        return any(base.__name__ == self.name for base in type(network).__mro__)


def _blocks(axes: str | None, *names: str) -> dict[str, RepeatedBlock]:
    """Return blocks that are laid out alike, and of whose branches nothing is known."""
    return {name: RepeatedBlock(axes) for name in names}


_IMAGE_MAPS = partial(_blocks, "NCHW")
_TOKENS = partial(_blocks, "NTC")
_ADDED = RepeatedBlock("NCHW", main=("stochastic_depth",))
_TWICE_ADDED = RepeatedBlock("NTC", main=("drop_path1", "drop_path2"))

FAMILIES = (
    Family(
        "ResNet",
        blocks={
            "BasicBlock": RepeatedBlock("NCHW", main=("bn2",), shortcut="downsample"),
            "Bottleneck": RepeatedBlock("NCHW", main=("bn3",), shortcut="downsample"),
            **_IMAGE_MAPS("ResNetBasicLayer", "ResNetBottleNeckLayer"),
        },
        small=small_variants.small_resnet,
    ),
    Family(
        "ResNetV2",
        blocks=_IMAGE_MAPS("PreActBasic", "PreActBottleneck", "BitPreActivationBottleneckLayer"),
        last=("norm",),
    ),
    Family(
        "RegNet",
        blocks={
            "ResBottleneckBlock": RepeatedBlock("NCHW", main=("f",), shortcut="proj"),
            **_IMAGE_MAPS("RegNetXLayer", "RegNetYLayer"),
        },
    ),
    Family(
        "VGG",
        blocks=_IMAGE_MAPS("ReLU"),
        inside="features",
        small=small_variants.small_vgg,
    ),
    Family("AlexNet", blocks=_IMAGE_MAPS("ReLU"), inside="features"),
    Family("SqueezeNet", blocks=_IMAGE_MAPS("Fire")),
    Family("GoogLeNet", blocks=_IMAGE_MAPS("Inception")),
    Family(
        "Inception3",
        blocks=_IMAGE_MAPS(
            *(f"Inception{letter}" for letter in "ABCDE"), *("ReductionA", "ReductionB")
        ),
    ),
    Family(
        "InceptionResnetV2", blocks=_IMAGE_MAPS("Block35", "Block17", "Block8"), last=("conv2d_7b",)
    ),
    Family(
        "DenseNet",
        blocks=_IMAGE_MAPS("_DenseBlock", "_Transition", "DenseBlock", "DenseTransition"),
        last=("norm5",),
    ),
    Family(
        "EfficientNet",
        blocks={
            "MBConv": _ADDED,
            "FusedMBConv": _ADDED,
            "InvertedResidual": RepeatedBlock("NCHW"),
            **_IMAGE_MAPS(
                "_InvertedResidual",
                "DepthwiseSeparableConv",
                "ConvBnAct",
                "EdgeResidual",
                "UniversalInvertedResidual",
                "MobileAttention",
                "MobileNetV1ConvLayer",
                "MobileNetV2InvertedResidual",
                "EfficientNetBlock",
                "GhostBottleneck",
                "LinearBottleneck",
                "NormFreeBlock",
            ),
        },
        last=("-1", "bn2", "conv5", "conv_1x1", "encoder.top_bn"),
    ),
    Family(
        "ConvNeXt",
        blocks={
            "CNBlock": _ADDED,
            "ConvNeXtBlock": RepeatedBlock("NCHW", main=("drop_path",), shortcut="shortcut"),
            **_IMAGE_MAPS("ConvNextLayer", "ConvNextV2Layer", "MetaFormerBlock", "RepVggBlock"),
        },
    ),
    Family(
        "VisionTransformer",
        blocks={
            "EncoderBlock": RepeatedBlock("NTC", main=("dropout", "mlp")),
            "Block": RepeatedBlock(None, main=("drop_path1", "drop_path2")),
            **{
                name: _TWICE_ADDED
                for name in ("ParallelScalingBlock", "ResPostBlock", "EvaBlock", "LayerScaleBlock")
            },
            **_TOKENS(
                "ViTLayer",
                "DeiTLayer",
                "BeitLayer",
                "Data2VecVisionLayer",
                "Dinov2Layer",
                "Dinov2WithRegistersLayer",
                "DINOv3ViTLayer",
                "SiglipEncoderLayer",
                "Siglip2EncoderLayer",
                "CLIPEncoderLayer",
                "ViTMAELayer",
                "ViTMSNLayer",
                "IJepaLayer",
                "XCABlock",
            ),
            "ResidualAttentionBlock": RepeatedBlock("NTC"),
        },
        last=("ln", "norm", "layernorm", "ln_post", "post_layernorm"),
    ),
    Family(
        "MlpMixer",
        blocks=_TOKENS("MixerBlock", "SpatialGatingBlock", "ResBlock"),
        last=("norm",),
    ),
    Family(
        "SwinTransformer",
        blocks={
            "SwinTransformerBlock": RepeatedBlock("NHWC", main=("stochastic_depth",)),
            "SwinTransformerBlockV2": RepeatedBlock("NHWC", main=("stochastic_depth",)),
            **_blocks("NHWC", "SwinTransformerV2Block"),
            **_TOKENS("SwinLayer", "Swinv2Layer"),
        },
        last=("norm", "layernorm"),
    ),
    Family("MaxVit", blocks=_IMAGE_MAPS("MaxVitLayer", "MaxxVitBlock"), last=("norm",)),
)

RESIDUAL_BLOCKS = tuple(
    name for family in FAMILIES for name, block in family.blocks.items() if block.main
)


def family_of(network: nn.Module) -> Family | None:
    """Return the family of a network, None where it is of no known one."""
    return next((family for family in FAMILIES if family.holds(network)), None)


def family_of_block(network: nn.Module, name: str) -> Family | None:
    """Return the family whose block a module of a network is, None where it is of none."""
    kind = type(network.get_submodule(name)).__name__
    for family in FAMILIES:
        if kind not in family.blocks:
            continue
        inside = family.inside
        if inside is None or (family.holds(network) and name.startswith(f"{inside}.")):
            return family
    return None


def repeated_block(network: nn.Module, name: str) -> RepeatedBlock | None:
    """Return what is known of a module of a network, None where it is not a block of a family."""
    family = family_of_block(network, name)
    return None if family is None else family.blocks[type(network.get_submodule(name)).__name__]
