"""The two branches of residual blocks: the shortcut is carried, the main branch added to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from vinfo_mpi.networks import hooks
from vinfo_mpi.networks.families import repeated_block
from vinfo_mpi.networks.layouts import Tap

# Largest difference between main + shortcut and a block's output, relative to the output's spread.
AGREEMENT = 1e-4
BRANCHES = ("main", "shortcut")


@dataclass(frozen=True)
class Block:
    """A residual block of a network, by the full names of modules.

    Attributes
    ----------
    main : tuple of str
        The modules of its main branch.
    shortcut : str, or None
        The module of its shortcut; None: the shortcut is the block's input.
    tap : Tap
        The block itself: its branches are laid out as its output is.
    """

    main: tuple[str, ...]
    shortcut: str | None
    tap: Tap


def find(network: nn.Module, taps: list[Tap], images: torch.Tensor) -> dict[str, Block]:
    """Return the residual blocks among the taps.

    Those whose branches add up to their output, before a ReLU or without.

    Parameters
    ----------
    network : nn.Module
    taps : list of Tap
    images : (N, 3, H, W) tensor
        The claim is tested on them, not assumed.
    """
    candidates = {}
    modules = [tap.module for tap in taps]
    for tap in taps:
        # What belongs to which call of a block cannot be told.
        if modules.count(tap.module) == 1 and (block := _candidate(network, tap)) is not None:
            candidates[tap.module] = block
    sums: dict[str, torch.Tensor] = {}

    def add(name: str, values: torch.Tensor) -> None:
        sums[name] = sums[name] + values if name in sums else values.clone()

    with (
        hooks.outputs(network, list(candidates), add),
        watched(network, candidates, add),
        torch.no_grad(),
    ):
        network(images)
    return {name: block for name, block in candidates.items() if _adds_up(name, sums)}


@contextmanager
def watched(
    network: nn.Module, blocks: Mapping[str, Block], keep: Callable[[str, torch.Tensor], None]
) -> Iterator[None]:
    """Call ``keep("block.main", values)`` and ``keep("block.shortcut", values)`` as they run.

    The former for every module of a main branch: its values are to be added up. Later operations
    may overwrite the values in place: copy or pool them at once.
    """
    branch_of = {}
    for name, block in blocks.items():
        for module in block.main:
            branch_of[module] = f"{name}.main"
        if block.shortcut is not None:
            branch_of[block.shortcut] = f"{name}.shortcut"
    carried = [name for name, block in blocks.items() if block.shortcut is None]
    with (
        hooks.outputs(
            network, list(branch_of), lambda module, values: keep(branch_of[module], values)
        ),
        hooks.inputs(network, carried, lambda name, values: keep(f"{name}.shortcut", values)),
    ):
        yield


def _candidate(network: nn.Module, tap: Tap) -> Block | None:
    """Return a tap as a residual block, None where it has no main branch that we know."""
    name = tap.module
    known = repeated_block(network, name)
    if known is None or not known.main:
        return None
    module = network.get_submodule(name)
    if not all(isinstance(getattr(module, child, None), nn.Module) for child in known.main):
        return None
    shortcut = known.shortcut
    adapted = shortcut is not None and isinstance(getattr(module, shortcut, None), nn.Module)
    main = tuple(f"{name}.{child}" for child in known.main)
    return Block(main, f"{name}.{shortcut}" if adapted else None, tap)


def _adds_up(name: str, sums: Mapping[str, torch.Tensor]) -> bool:
    """Whether the branches of a block add up to its output, or to what its ReLU leaves of it."""
    main = sums.get(f"{name}.main")
    shortcut = sums.get(f"{name}.shortcut")
    if main is None or shortcut is None:
        return False
    output = sums[name]
    if main.shape != output.shape or shortcut.shape != output.shape:
        return False
    total = main + shortcut
    allowed = AGREEMENT * output.std().clamp(min=1e-6)
    differences = [(values - output).abs().max() for values in (total, total.relu())]
    return any(bool(difference <= allowed) for difference in differences)
