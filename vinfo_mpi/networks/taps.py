"""Where a network is read: its taps, in forward order, pooled inside the hook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import nn
from torchvision.models import VGG

from vinfo_mpi.config.schema import Extract
from vinfo_mpi.errors import InputError, choices
from vinfo_mpi.networks import branches, hooks
from vinfo_mpi.networks.branches import Block

# The repeated block of each family, by the name of its class.
BLOCKS = tuple(branches.FAMILIES)
FAMILIES = "ResNet, RegNet, VGG, ConvNeXt, VisionTransformer"


@dataclass
class Reading:
    """What one forward pass showed.

    Attributes
    ----------
    pooled : dict of str to (N, d) tensor
        One vector per image for every tap, in forward order.
    nonzero : dict of str to (N,) tensor
        Share of every tap's values, before pooling, that are not zero.
    branches : dict of str to (N, d) tensor
        One vector per image for the main branch and the shortcut of every residual block that was asked for.
    map : (N, P, d) tensor
        The last tap, one vector per image and position.
    outputs : (N, C) tensor
        Logits.
    """

    pooled: dict[str, torch.Tensor]
    nonzero: dict[str, torch.Tensor]
    branches: dict[str, torch.Tensor]
    map: torch.Tensor
    outputs: torch.Tensor


def find(network: nn.Module, extract: Extract, example: torch.Tensor) -> list[str]:
    """Return the module names of the taps in forward order.

    Parameters
    ----------
    network : nn.Module
    extract : Extract
        ``taps: auto`` for every block of a known family, or names and globs.
    example : (1, 3, H, W) tensor
        An image to find the order with.

    Raises
    ------
    InputError
        If nothing matches, or a module gives no feature map.
    """
    names = [name for name, _ in network.named_modules() if name]
    if extract.taps == "auto":
        found = [name for name, module in network.named_modules() if type(module).__name__ in BLOCKS]
        if isinstance(network, VGG):
            found = [name for name in names if name.startswith("features.") and isinstance(network.get_submodule(name), nn.ReLU)]
        if not found:
            raise InputError(
                f"extract.taps: auto knows the blocks of {FAMILIES}, not of {type(network).__name__}; "
                f"name modules or globs instead ({choices('', names)})"
            )
    else:
        found = []
        for pattern in extract.taps:
            matching = [name for name in names if fnmatchcase(name, pattern)]
            if not matching:
                raise InputError(f"extract.taps: no module is called '{pattern}'; {choices(pattern, names)}")
            found += [name for name in matching if name not in found]
    shapes = _shapes(network, found, example)
    for name in found:
        if name not in shapes:
            raise InputError(f"extract.taps: '{name}' is not used in the forward pass; {choices(name, shapes)}")
        if len(shapes[name]) not in (2, 3, 4):
            raise InputError(f"extract.taps: '{name}' gives shape {tuple(shapes[name])}; expected (N,d), (N,T,d) or (N,C,H,W)")
    return list(shapes)


def pool(values: torch.Tensor, pooling: str = "mean", tokens: str = "class") -> torch.Tensor:
    """Return one vector per image: (N, C, H, W), (N, T, d) or (N, d) to (N, d')."""
    if values.ndim == 4:
        if pooling == "mean":
            return values.mean((2, 3))
        return nn.functional.adaptive_avg_pool2d(values, int(pooling.removeprefix("grid:"))).flatten(1)
    if values.ndim == 3:
        return values[:, 0].clone() if tokens == "class" else values[:, 1:].mean(1)
    return values.clone()


def share_nonzero(values: torch.Tensor) -> torch.Tensor:
    """Return the share of each image's values that are not zero: (N, ...) to (N,) float32."""
    # Ones and zeros as numbers: truth values are made and counted several times more slowly.
    ones = torch.ne(values, 0, out=torch.empty_like(values, dtype=torch.float32))
    return ones.mean(tuple(range(1, values.ndim)))


def positions(values: torch.Tensor, tokens: str = "class") -> torch.Tensor:
    """Return the vectors of every position: (N, P, d), a copy."""
    if values.ndim == 4:
        return values.flatten(2).transpose(1, 2).clone(memory_format=torch.contiguous_format)
    if values.ndim == 3:
        return (values[:, :1] if tokens == "class" else values[:, 1:]).clone()
    return values[:, None].clone()


def read(
    network: nn.Module, taps: list[str], images: torch.Tensor, extract: Extract, blocks: Mapping[str, Block] | None = None
) -> Reading:
    """Run the network once and return what its taps, and the branches of these blocks, showed, with gradients where wanted."""
    pooled: dict[str, torch.Tensor] = {}
    nonzero: dict[str, torch.Tensor] = {}
    parts: dict[str, torch.Tensor] = {}
    last: list[torch.Tensor] = []

    def keep(name: str, values: torch.Tensor) -> None:
        # Blocks end in in-place additions and ReLUs: what is not pooled or copied here is overwritten later.
        pooled[name] = pool(values, extract.pooling, extract.tokens)
        nonzero[name] = share_nonzero(values.detach())
        if name == taps[-1]:
            last[:] = [positions(values, extract.tokens)]

    def add(name: str, values: torch.Tensor) -> None:
        vector = pool(values, extract.pooling, extract.tokens)  # pooling is linear: a branch may come in several parts
        parts[name] = parts[name] + vector if name in parts else vector

    with hooks.outputs(network, taps, keep), branches.watched(network, blocks or {}, add):
        outputs = network(images)
    in_order = [f"{name}.{branch}" for name in blocks or {} for branch in branches.BRANCHES]
    return Reading({name: pooled[name] for name in taps}, nonzero, {name: parts[name] for name in in_order}, last[0], outputs)


def _shapes(network: nn.Module, names: list[str], example: torch.Tensor) -> dict[str, torch.Size]:
    shapes: dict[str, torch.Size] = {}

    def keep(name: str, output: object) -> None:
        shapes[name] = getattr(output, "shape", torch.Size())  # attention returns tuples

    with hooks.outputs(network, names, keep), torch.no_grad():
        network(example)
    return shapes
