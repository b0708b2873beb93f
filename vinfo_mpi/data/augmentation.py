"""Augmentation of images, by torchvision's transforms, with random numbers of each image's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torchvision.transforms import InterpolationMode, v2

from vinfo_mpi.data.preprocessing import Preprocessing

AUGMENTATIONS: dict[str, Callable[[Preprocessing], list[Any]]] = {
    "none": lambda target: [
        *target.resized(),
        v2.CenterCrop(target.size),
    ],
    "crop": lambda target: [
        *target.resized(),
        v2.RandomCrop(target.size, padding=min(target.size) // 8),
    ],
    "crop-flip": lambda target: [
        *AUGMENTATIONS["crop"](target),
        v2.RandomHorizontalFlip(),
    ],
    "resized-crop-flip": lambda target: [
        v2.RandomResizedCrop(
            target.size, interpolation=InterpolationMode(target.interpolation), antialias=True
        ),
        v2.RandomHorizontalFlip(),
    ],
}
DRAWING = frozenset(
    {
        *(torch.rand, torch.randint, torch.randn, torch.randperm, torch.normal),
        *(torch.bernoulli, torch.multinomial, torch.Tensor.bernoulli_, torch.Tensor.uniform_),
        *(torch.Tensor.normal_, torch.Tensor.random_, torch.Tensor.exponential_),
    }
)  # what transforms draw with


class Drawing(TorchFunctionMode):
    """Lets transforms of this thread draw from a generator of their own, in a block.

    The numbers are those that they would draw from torch's generator with the same seed. That one
    is the network's: its dropout draws from it, while a thread augments the next images.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._generator = torch.Generator().manual_seed(seed)

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Iterable[type],
        arguments: tuple[Any, ...] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        """Do one operation."""
        drawn = {"generator": self._generator} if function in DRAWING else {}
        return function(*arguments, **drawn | dict(options or {}))
