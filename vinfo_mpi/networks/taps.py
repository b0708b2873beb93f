"""Where a network is read: its taps, in forward order, pooled inside the hook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import nn

from vinfo_mpi.config.schema import Extract
from vinfo_mpi.errors import InputError, choices
from vinfo_mpi.networks import branches, hooks
from vinfo_mpi.networks.branches import Block
from vinfo_mpi.networks.families import FAMILIES, axes_of_output, in_usual_order, repeated_block
from vinfo_mpi.networks.pooling import INPUT, of_map


@dataclass
class Reading:
    """What one forward pass showed.

    Attributes
    ----------
    pooled : dict of str to (N, d) tensor
        One vector per image for every tap, in forward order; before them the images themselves,
        where they were asked for.
    nonzero : dict of str to (N,) tensor
        Share of every tap's values, before pooling, that are not zero.
    branches : dict of str to (N, d) tensor
        One vector per image for the main branch and the shortcut of every residual block that was
        asked for.
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
    names = _blocks(network) if extract.taps == "auto" else _matching(network, extract.taps)
    shapes = _shapes(network, names, example)
    for name in names:
        if name not in shapes:
            raise InputError(
                f"extract.taps: '{name}' is not used in the forward pass; {choices(name, shapes)}"
            )
        if len(shapes[name]) not in (2, 3, 4):
            raise InputError(
                f"extract.taps: '{name}' gives shape {tuple(shapes[name])}; "
                "expected (N,d), (N,T,d) or (N,C,H,W)"
            )
    return list(shapes)


def pool(
    values: torch.Tensor, axes: str, pooling: str = "mean", tokens: str = "class"
) -> torch.Tensor:
    """Return one vector per image, (N, d), of a tap with these axes, such as NCHW."""
    ordered = in_usual_order(values, axes)
    if "H" in axes:
        return of_map(ordered, pooling)
    if "T" in axes:
        return ordered[:, 0].clone() if tokens == "class" else ordered[:, 1:].mean(1)
    return ordered.clone()


def share_nonzero(values: torch.Tensor) -> torch.Tensor:
    """Return the share of each image's values that are not zero: (N, ...) to (N,) float32."""
    # Ones and zeros as numbers: truth values are made and counted several times more slowly.
    ones = torch.ne(values, 0, out=torch.empty_like(values, dtype=torch.float32))
    return ones.mean(tuple(range(1, values.ndim)))


def positions(values: torch.Tensor, axes: str, tokens: str = "class") -> torch.Tensor:
    """Return the vectors of every position, (N, P, d), of a tap with these axes: a copy."""
    ordered = in_usual_order(values, axes)
    if "H" in axes:
        return ordered.flatten(2).transpose(1, 2).clone(memory_format=torch.contiguous_format)
    if "T" in axes:
        return (ordered[:, :1] if tokens == "class" else ordered[:, 1:]).clone()
    return ordered[:, None].clone()


def read(
    network: nn.Module,
    taps: list[str],
    images: torch.Tensor,
    extract: Extract,
    blocks: Mapping[str, Block] | None = None,
) -> Reading:
    """Run the network once; return what its taps, and the branches of these blocks, showed.

    With gradients where they are enabled.

    Raises
    ------
    InputError
        If the images themselves are asked for, and a module is called as they are.
    """
    blocks = blocks or {}
    pooled: dict[str, torch.Tensor] = {}
    nonzero: dict[str, torch.Tensor] = {}
    pooled_branches: dict[str, torch.Tensor] = {}
    feature_maps: list[torch.Tensor] = []

    def keep(name: str, values: torch.Tensor) -> None:
        # Blocks end in in-place additions and ReLUs: what is not pooled or copied here is
        # overwritten later.
        axes = axes_of_output(network, name, values.ndim)
        pooled[name] = pool(values, axes, extract.pooling, extract.tokens)
        nonzero[name] = share_nonzero(values.detach())
        if name == taps[-1]:
            feature_maps[:] = [positions(values, axes, extract.tokens)]

    def add(branch: str, values: torch.Tensor) -> None:
        # Pooling is linear: a branch may come in several pieces.
        block = branch.rpartition(".")[0]
        axes = axes_of_output(network, block, values.ndim)
        vector = pool(values, axes, extract.pooling, extract.tokens)
        earlier = pooled_branches.get(branch)
        pooled_branches[branch] = vector if earlier is None else earlier + vector

    if extract.input:
        if INPUT in taps:
            raise InputError(
                f"extract.input: a tap is called '{INPUT}' already; leave it out of extract.taps, "
                "or set extract.input: false"
            )
        pooled[INPUT] = of_map(images, extract.pooling)
        nonzero[INPUT] = share_nonzero(images.detach())
    with hooks.outputs(network, taps, keep), branches.watched(network, blocks, add):
        outputs = network(images)
    in_order = [f"{name}.{branch}" for name in blocks for branch in branches.BRANCHES]
    with_input = [INPUT, *taps] if extract.input else taps
    return Reading(
        {name: pooled[name] for name in with_input},
        nonzero,
        {name: pooled_branches[name] for name in in_order},
        feature_maps[0],
        outputs,
    )


def _blocks(network: nn.Module) -> list[str]:
    """Return the names of all blocks of known families."""
    names = [name for name, _ in network.named_modules()]
    blocks = [name for name in names if repeated_block(network, name) is not None]
    if not blocks:
        families = ", ".join(family.name for family in FAMILIES)
        raise InputError(
            f"extract.taps: auto knows the blocks of {families}, not of "
            f"{type(network).__name__}; name modules or globs instead "
            f"({choices('', filter(None, names))})"
        )
    return blocks


def _matching(network: nn.Module, patterns: list[str]) -> list[str]:
    """Return the names of the modules that names or globs mean, each once."""
    names = [name for name, _ in network.named_modules() if name]
    matching: dict[str, None] = {}
    for pattern in patterns:
        of_pattern = [name for name in names if fnmatchcase(name, pattern)]
        if not of_pattern:
            raise InputError(
                f"extract.taps: no module is called '{pattern}'; {choices(pattern, names)}"
            )
        matching |= dict.fromkeys(of_pattern)
    return list(matching)


def _shapes(network: nn.Module, names: list[str], example: torch.Tensor) -> dict[str, torch.Size]:
    """Return the shapes of what modules give, in forward order."""
    shapes: dict[str, torch.Size] = {}

    def keep(name: str, output: object) -> None:
        shapes[name] = getattr(output, "shape", torch.Size())  # attention returns tuples

    with hooks.outputs(network, names, keep), torch.no_grad():
        network(example)
    return shapes
