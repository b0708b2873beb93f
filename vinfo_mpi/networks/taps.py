"""Taps of a network, where it is read: in forward order, pooled inside the hook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from vinfo_mpi.config.schema import Extract
from vinfo_mpi.errors import InputError, choices
from vinfo_mpi.networks import branches, hooks, layouts, names, precision, tokens
from vinfo_mpi.networks.branches import Block
from vinfo_mpi.networks.layouts import Tap, in_usual_order
from vinfo_mpi.networks.pooling import INPUT, of_map
from vinfo_mpi.networks.record import Call, Record, forward_pass


@dataclass
class Reading:
    """The result of one forward pass.

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
        The last tap, or another one, one vector per image and position.
    outputs : (N, C) tensor
        Logits.
    """

    pooled: dict[str, torch.Tensor]
    nonzero: dict[str, torch.Tensor]
    branches: dict[str, torch.Tensor]
    map: torch.Tensor
    outputs: torch.Tensor


def find(network: nn.Module, extract: Extract, example: torch.Tensor) -> list[Tap]:
    """Return the taps in forward order, and how what they give is laid out.

    Parameters
    ----------
    network : nn.Module
    extract : Extract
        ``taps: auto`` for every block of a known family, or names and globs.
    example : (1, channels, H, W) tensor
        An image: shape, dtype and device of the input are taken from it.

    Raises
    ------
    InputError
        If nothing matches, a module gives no feature map, or its layout cannot be told.
    """
    record = forward_pass(network, example)
    calls = names.chosen(network, extract.taps, record)
    found = [_laid_out(network, name, call, record, extract) for name, call in calls.items()]
    return tokens.choose(network, found, extract, example)


def tap_of_map(taps: list[Tap], name: str) -> Tap:
    """Return the tap whose map is kept: the one of this name, or the last.

    Raises
    ------
    InputError
        If none has the name.
    """
    if name == "last":
        return taps[-1]
    chosen = [tap for tap in taps if tap.name == name]
    if not chosen:
        names = [tap.name for tap in taps]
        raise InputError(
            f"dictionary.tap: '{name}' is not a tap that is read; {choices(name, names)}"
        )
    return chosen[0]


def named(network: nn.Module, name: str, extract: Extract, example: torch.Tensor) -> Tap:
    """Return the tap of this name, as a file has it."""
    [tap] = find(network, extract.model_copy(update={"taps": [name]}), example)
    return tap


def _laid_out(network: nn.Module, name: str, call: Call, record: Record, extract: Extract) -> Tap:
    axes = layouts.axes_of(network, call, record, name, extract)
    prefix = 0
    if "T" in axes:
        prefix = layouts.prefix_of(call, record, axes, name, extract)
    return Tap(name, call.module, call.number, axes, prefix)


def pool(values: torch.Tensor, tap: Tap, pooling: str = "mean") -> torch.Tensor:
    """Return one vector per image, (N, d), of what a tap gives."""
    ordered = in_usual_order(values, tap.axes)
    if "H" in tap.axes:
        return of_map(ordered, pooling)
    if "T" in tap.axes:
        if tap.tokens == "class":
            return ordered[:, 0].clone()
        return ordered[:, tap.prefix :].mean(1)
    return ordered.clone()


def share_nonzero(values: torch.Tensor) -> torch.Tensor:
    """Return the share of each image's values that are not zero: (N, ...) to (N,) float32."""
    # Ones and zeros as numbers: truth values are made and counted several times more slowly.
    ones = torch.ne(values, 0, out=torch.empty_like(values, dtype=torch.float32))
    return ones.mean(tuple(range(1, values.ndim)))


def positions(values: torch.Tensor, tap: Tap) -> torch.Tensor:
    """Return the vectors of every position, (N, P, d), of what a tap gives: a copy."""
    ordered = in_usual_order(values, tap.axes)
    if "H" in tap.axes:
        return ordered.flatten(2).transpose(1, 2).clone(memory_format=torch.contiguous_format)
    if "T" in tap.axes:
        return (ordered[:, :1] if tap.tokens == "class" else ordered[:, tap.prefix :]).clone()
    return ordered[:, None].clone()


def read(
    network: nn.Module,
    taps: list[Tap],
    images: torch.Tensor,
    extract: Extract,
    blocks: Mapping[str, Block] | None = None,
    map_tap: str = "last",
) -> Reading:
    """Run the network once; return what its taps, and the branches of these blocks, showed.

    In the precision of `extract`; what they showed is averaged in float32, or in float64. With
    gradients where they are enabled. `map_tap` names the one whose map is kept.

    Raises
    ------
    InputError
        If the images themselves are asked for, and a module is called as they are.
    """
    blocks = blocks or {}
    at = {(tap.module, tap.call): tap for tap in taps}
    with_map = tap_of_map(taps, map_tap)
    pooled: dict[str, torch.Tensor] = {}
    nonzero: dict[str, torch.Tensor] = {}
    pooled_branches: dict[str, torch.Tensor] = {}
    feature_maps: list[torch.Tensor] = []

    def keep(module: str, call: int, output: object) -> None:
        # Blocks end in in-place additions and ReLUs: what is not pooled or copied here is
        # overwritten later.
        tap = at.get((module, call))
        values = hooks.first_tensor(output)
        if tap is None or values is None:
            return
        values = _exact(values)
        pooled[tap.name] = pool(values, tap, extract.pooling)
        nonzero[tap.name] = share_nonzero(in_usual_order(values.detach(), tap.axes))
        if tap == with_map:
            feature_maps[:] = [positions(values, tap)]

    def add(branch: str, values: torch.Tensor) -> None:
        # Pooling is linear: a branch may come in several pieces.
        vector = pool(_exact(values), blocks[branch.rpartition(".")[0]].tap, extract.pooling)
        earlier = pooled_branches.get(branch)
        pooled_branches[branch] = vector if earlier is None else earlier + vector

    if extract.input:
        if any(tap.name == INPUT for tap in taps):
            raise InputError(
                f"extract.input: a tap is called '{INPUT}' already; leave it out of extract.taps, "
                "or set extract.input: false"
            )
        pooled[INPUT] = of_map(images, extract.pooling)
        nonzero[INPUT] = share_nonzero(images.detach())
    modules = dict.fromkeys(tap.module for tap in taps)
    with (
        precision.computing(extract.precision, images.device),
        hooks.calls(network, modules, keep),
        branches.watched(network, blocks, add),
    ):
        outputs = _exact(network(images))
    in_order = [f"{name}.{branch}" for name in blocks for branch in branches.BRANCHES]
    with_input = [INPUT] * extract.input + [tap.name for tap in taps]
    return Reading(
        {name: pooled[name] for name in with_input},
        nonzero,
        {name: pooled_branches[name] for name in in_order},
        feature_maps[0],
        outputs,
    )


def _exact(values: Any) -> Any:
    """Return values that can be averaged, bfloat16 as float32; a library's own object as it is."""
    return values.float() if getattr(values, "dtype", None) == torch.bfloat16 else values
