"""The families of networks, in one table: where they are read, how they branch, how they shrink.

A new family is a new row; whatever else asks about families asks this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

from vinfo_mpi.networks import small_variants


@dataclass(frozen=True)
class RepeatedBlock:
    """The module that a family repeats: a tap at every repetition.

    Attributes
    ----------
    axes : str
        Of its output: images N (first), channels C, rows H and columns W of a map, tokens T.
    main : tuple of str
        Its modules whose outputs add up to the main branch; none where it is not residual.
    shortcut : str, or None
        Its module that adapts the shortcut, where it has one: else the shortcut is its input.
    """

    axes: str
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
    small : function of a name, a width and a number of classes, or None
        Returns the variant for images of 32 pixels or so, its channels scaled by the width.
    """

    name: str
    blocks: Mapping[str, RepeatedBlock]
    inside: str | None = None
    small: Callable[[str, float, int], nn.Module] | None = None

    def holds(self, network: nn.Module) -> bool:
        """Whether a network is of this family."""
        return any(base.__name__ == self.name for base in type(network).__mro__)


FAMILIES = (
    Family(
        "ResNet",
        blocks={
            "BasicBlock": RepeatedBlock("NCHW", main=("bn2",), shortcut="downsample"),
            "Bottleneck": RepeatedBlock("NCHW", main=("bn3",), shortcut="downsample"),
        },
        small=small_variants.small_resnet,
    ),
    Family(
        "RegNet",
        blocks={"ResBottleneckBlock": RepeatedBlock("NCHW", main=("f",), shortcut="proj")},
    ),
    Family(
        "VGG",
        blocks={"ReLU": RepeatedBlock("NCHW")},
        inside="features",
        small=small_variants.small_vgg,
    ),
    Family(
        "ConvNeXt",
        blocks={"CNBlock": RepeatedBlock("NCHW", main=("stochastic_depth",))},
    ),
    Family(
        "VisionTransformer",
        blocks={"EncoderBlock": RepeatedBlock("NTC", main=("dropout", "mlp"))},
    ),
)

RESIDUAL_BLOCKS = tuple(
    name for family in FAMILIES for name, block in family.blocks.items() if block.main
)


def family_of(network: nn.Module) -> Family | None:
    """Return the family of a network, None where it is of no known one."""
    return next((family for family in FAMILIES if family.holds(network)), None)


def repeated_block(network: nn.Module, name: str) -> RepeatedBlock | None:
    """Return what is known of a module of a network, None where it is no block of a family."""
    kind = type(network.get_submodule(name)).__name__
    for family in FAMILIES:
        if kind not in family.blocks:
            continue
        if family.inside is None:
            return family.blocks[kind]
        if family.holds(network) and name.startswith(f"{family.inside}."):
            return family.blocks[kind]
    return None
