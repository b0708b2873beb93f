"""The two branches of residual blocks: the shortcut, what is carried, and the main branch, what is added to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from vinfo_mpi.networks import hooks

# The modules of a block whose outputs add up to the main branch, and the one that adapts the shortcut where the block has
# it: else the shortcut is the block's input.
FAMILIES = {
    "BasicBlock": (("bn2",), "downsample"),
    "Bottleneck": (("bn3",), "downsample"),
    "ResBottleneckBlock": (("f",), "proj"),
    "CNBlock": (("stochastic_depth",), None),
    "EncoderBlock": (("dropout", "mlp"), None),
}
AGREEMENT = 1e-4  # largest difference between main + shortcut and a block's output, relative to the output's spread
BRANCHES = ("main", "shortcut")


@dataclass(frozen=True)
class Block:
    """A residual block: the full names of the modules of its main branch, and of its shortcut's (None: the block's input)."""

    main: tuple[str, ...]
    shortcut: str | None


def find(network: nn.Module, names: list[str], images: torch.Tensor) -> dict[str, Block]:
    """Return the residual blocks among the taps: those whose branches add up to their output, before a ReLU or without.

    Parameters
    ----------
    network : nn.Module
    names : list of str
        Taps.
    images : (N, 3, H, W) tensor
        The claim is tested on them, not assumed.
    """
    candidates = {name: block for name in names if (block := _candidate(network, name)) is not None}
    seen: dict[str, torch.Tensor] = {}

    def add(name: str, values: torch.Tensor) -> None:
        seen[name] = seen[name] + values if name in seen else values.clone()

    with hooks.outputs(network, list(candidates), add), watched(network, candidates, add), torch.no_grad():
        network(images)
    return {name: block for name, block in candidates.items() if _adds_up(name, seen)}


@contextmanager
def watched(network: nn.Module, blocks: Mapping[str, Block], keep: Callable[[str, torch.Tensor], None]) -> Iterator[None]:
    """Call ``keep("block.main", values)`` for every part of a main branch, and ``keep("block.shortcut", values)``, as they run.

    Later operations may overwrite the values in place: copy or pool them at once.
    """
    branch = {part: f"{name}.main" for name, block in blocks.items() for part in block.main}
    branch |= {block.shortcut: f"{name}.shortcut" for name, block in blocks.items() if block.shortcut}
    carried = [name for name, block in blocks.items() if block.shortcut is None]
    with (
        hooks.outputs(network, list(branch), lambda part, values: keep(branch[part], values)),
        hooks.inputs(network, carried, lambda name, values: keep(f"{name}.shortcut", values)),
    ):
        yield


def _candidate(network: nn.Module, name: str) -> Block | None:
    module = network.get_submodule(name)
    main, shortcut = FAMILIES.get(type(module).__name__, ((), None))
    if not main or not all(isinstance(getattr(module, part, None), nn.Module) for part in main):
        return None
    adapted = shortcut is not None and isinstance(getattr(module, shortcut, None), nn.Module)
    return Block(tuple(f"{name}.{part}" for part in main), f"{name}.{shortcut}" if adapted else None)


def _adds_up(name: str, seen: dict[str, torch.Tensor]) -> bool:
    parts = [seen.get(f"{name}.{branch}") for branch in BRANCHES]
    if any(part is None or part.shape != seen[name].shape for part in parts):
        return False
    total, output = parts[0] + parts[1], seen[name]  # type: ignore[operator]
    allowed = AGREEMENT * output.std().clamp(min=1e-6)
    return any(bool((one - output).abs().max() <= allowed) for one in (total, total.relu()))
