"""The memory that a network takes per image, measured on blank images before any work is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from vinfo_mpi.parallel.malloc import LARGEST_ON_HEAP

CONVOLUTIONS = (torch.ops.aten.convolution, torch.ops.aten.convolution_backward)
# Smaller blocks leave holes in the heap that no later block fits into. Measured, relative to the
# blocks (none are left with MALLOC_MMAP_THRESHOLD_=1048576): as much again where sizes change all
# the time, half where they are the same at every step.
HOLES = 1.0
HOLES_OF_STEPS = 0.5
MOST = 128  # images of a batch, unless the user asks for more
LARGEST_ON_DEVICE = 2**29  # bytes of the largest tensor of a batch there


def held(block: float, holes: float = HOLES) -> float:
    """Return what a block of so many bytes takes among many that come and go, with its holes."""
    return (1 + holes) * block if block < LARGEST_ON_HEAP else block


def batch(pass_on: Callable[[torch.Tensor], object], shape: Sequence[int], device: str) -> int:
    """Return how many images go well through the network at once: a power of two, up to `MOST`.

    On a CPU so many that no feature map leaves the heap: beyond it, every map is made of new pages,
    and clearing these takes as long as the layers (`parallel/malloc.py`).

    Parameters
    ----------
    pass_on, shape
        As in `forward`.
    device : str
        cpu or cuda.
    """
    room = LARGEST_ON_HEAP - 1 if device == "cpu" else LARGEST_ON_DEVICE
    images = max(1, int(room // max(1.0, _largest(pass_on, shape))))
    return min(MOST, 2 ** (images.bit_length() - 1))


def forward(pass_on: Callable[[torch.Tensor], object], shape: Sequence[int], images: int) -> float:
    """Return the bytes at the peak of a forward pass without gradients, without the weights.

    Parameters
    ----------
    pass_on : function of an (N, C, H, W) tensor
        The forward pass, with its hooks.
    shape : (3,) ints
        Channels, height and width of an image.
    images : int
        Images in the batch.
    """

    @torch.no_grad()
    def step(batch: torch.Tensor, live: _Live) -> None:
        pass_on(batch)

    return _peak(step, shape, images, (1, 2))


def training(network: nn.Module, shape: Sequence[int], images: int) -> float:
    """Return the bytes at the peak of a training step, without the weights and their gradients.

    The network is on the CPU; its gradients are discarded and its buffers changed.
    """

    def step(batch: torch.Tensor, live: _Live) -> None:
        handles = [
            parameter.register_post_accumulate_grad_hook(live.forget_gradient)
            for parameter in network.parameters()
            if parameter.requires_grad
        ]
        network(batch).sum().backward()
        network.zero_grad(set_to_none=True)
        for handle in handles:
            handle.remove()

    was_training = network.training
    try:
        network.train()
        # Batch normalisation learns from two images at least.
        return _peak(step, shape, images, (2, 3))
    finally:
        network.train(was_training)


def to_the_pixels(network: nn.Module, shape: Sequence[int], images: int) -> float:
    """Return the bytes at the peak of a pass back to the images, in evaluation mode.

    Of a forward pass alone where no gradient goes through the network.
    """

    def step(batch: torch.Tensor, live: _Live) -> None:
        outputs = network(batch.requires_grad_())
        if outputs.requires_grad:
            torch.autograd.grad(outputs.sum(), batch, allow_unused=True)

    return _peak(step, shape, images, (1, 2))


@torch.no_grad()
def _largest(pass_on: Callable[[torch.Tensor], object], shape: Sequence[int]) -> float:
    """Return the bytes that the largest tensor of a forward pass takes per image."""
    sizes = []
    for count in (1, 2):
        with _Live(1.0) as live:
            pass_on(torch.zeros(count, *shape))
        sizes.append(live.largest)
    return sizes[1] - sizes[0]


def _peak(
    step: Callable[[torch.Tensor, _Live], None],
    shape: Sequence[int],
    images: int,
    counts: Sequence[int],
) -> float:
    """Return what grows with the batch at the peak: what does not is counted elsewhere."""
    peaks = []
    for count in counts:
        with _Live(images / count) as live:
            step(torch.zeros(count, *shape), live)
        peaks.append(live.peak * count)
    return max(0.0, (peaks[1] - peaks[0]) / (counts[1] - counts[0]))


class _Live(TorchDispatchMode):
    """Counts the memory of all tensors that are alive after each operation, forward and backward.

    Convolutions lay their operands out anew before they compute: these are counted once more.

    Parameters
    ----------
    scale : float
        How many times larger everything will be.
    """

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.peak = 0.0
        self.largest = 0.0
        self._alive: dict[int, tuple[StorageWeakRef, float]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        made = _tensors(result)
        for tensor in made:
            storage = tensor.untyped_storage()
            self._alive[storage._cdata] = (StorageWeakRef(storage), self._held(storage.nbytes()))
            self.largest = max(self.largest, self.scale * storage.nbytes())
        self._alive = {
            key: (storage, count)
            for key, (storage, count) in self._alive.items()
            if not storage.expired()
        }
        bytes_alive = sum(count for _, count in self._alive.values())
        if func.overloadpacket in CONVOLUTIONS:
            operands = [*made, *_tensors(args)]
            bytes_alive += sum(self._held(tensor.nbytes) for tensor in operands)
        self.peak = max(self.peak, bytes_alive)
        return result

    def _held(self, size: int) -> float:
        return held(self.scale * size, HOLES_OF_STEPS)

    def forget_gradient(self, parameter: torch.Tensor) -> None:
        """Leave out the gradient of a weight, which does not grow with the batch."""
        if parameter.grad is not None:
            self._alive.pop(parameter.grad.untyped_storage()._cdata, None)


def _tensors(values: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]
