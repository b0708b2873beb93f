"""How much memory a network takes for every image: measured once, on blank images, before any work is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CONVOLUTIONS = (torch.ops.aten.convolution, torch.ops.aten.convolution_backward)


@dataclass(frozen=True)
class Footprint:
    """Bytes per image at the peak of a forward pass without gradients, and of a training step; weights not counted."""

    forward: float
    training: float


def measure(network: nn.Module, size: int, forward: Callable[[torch.Tensor], object]) -> Footprint:
    """Return the footprint of a network for images of `size` pixels.

    Parameters
    ----------
    network : nn.Module
        On the CPU; its gradients are discarded, its buffers changed.
    size : int
    forward : function of an (N, 3, size, size) tensor
        The forward pass as it is run, with its hooks.
    """

    @torch.no_grad()
    def analyse(images: torch.Tensor) -> None:
        forward(images)

    def learn(images: torch.Tensor) -> None:
        network(images).sum().backward()
        network.zero_grad(set_to_none=True)

    was_training = network.training
    one = _per_image(analyse, size, (1, 2))
    try:
        network.train()
        return Footprint(one, _per_image(learn, size, (2, 4)))  # batch normalisation learns from two images or more
    finally:
        network.train(was_training)


def _per_image(step: Callable[[torch.Tensor], None], size: int, counts: Sequence[int]) -> float:
    """Return what each further image adds to the peak: what does not grow with the batch is counted elsewhere."""
    peaks = []
    for count in counts:
        with _Live() as live:
            step(torch.zeros(count, 3, size, size))
        peaks.append(live.peak)
    return (peaks[1] - peaks[0]) / (counts[1] - counts[0])


class _Live(TorchDispatchMode):
    """Counts the bytes of all tensors that are alive after each operation, forward and backward.

    The CPU's and the GPU's convolutions lay their operands out anew before they compute: they are counted once more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        made = _tensors(result)
        for tensor in made:
            storage = tensor.untyped_storage()
            self._alive[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
        self._alive = {key: one for key, one in self._alive.items() if not one[0].expired()}
        anew = sum(one.nbytes for one in [*made, *_tensors(args)]) if func.overloadpacket in CONVOLUTIONS else 0
        self.peak = max(self.peak, sum(count for _, count in self._alive.values()) + anew)
        return result


def _tensors(values: Any) -> list[torch.Tensor]:
    return [one for one in tree_leaves(values) if isinstance(one, torch.Tensor)]
