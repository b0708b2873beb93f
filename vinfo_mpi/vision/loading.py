"""From ids to batches of tensors: reading, augmenting, normalising, ahead of the network."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from vinfo_mpi.config import Data
from vinfo_mpi.errors import InputError
from vinfo_mpi.vision.datasets import Images

T = TypeVar("T")
AHEAD = 2  # batches read ahead of the network
DEFAULT_SIZE = 32

AUGMENTATIONS: dict[str, Callable[[int], list[Any]]] = {
    "none": lambda size: [v2.Resize(size, antialias=True), v2.CenterCrop(size)],
    "crop": lambda size: [v2.Resize(size, antialias=True), v2.RandomCrop(size, padding=size // 8)],
    "crop-flip": lambda size: [
        v2.Resize(size, antialias=True),
        v2.RandomCrop(size, padding=size // 8),
        v2.RandomHorizontalFlip(),
    ],
    "resized-crop-flip": lambda size: [v2.RandomResizedCrop(size, antialias=True), v2.RandomHorizontalFlip()],
}


@dataclass(frozen=True)
class Preprocessing:
    """Size and normalisation of a network's input."""

    size: int
    mean: list[float]
    std: list[float]

    @classmethod
    def of(cls, data: Data, own: Any = None) -> Preprocessing:
        """Return what the configuration says, completed by the weights' own transforms."""
        size = data.image_size or (own.crop_size[0] if own else DEFAULT_SIZE)
        mean = data.mean or (list(own.mean) if own else [0.5, 0.5, 0.5])
        std = data.std or (list(own.std) if own else [0.5, 0.5, 0.5])
        if not len(mean) == len(std) == 3:
            raise InputError(f"data.mean and data.std need 3 values each, found {len(mean)} and {len(std)}")
        return cls(size, mean, std)

    def transform(self, augment: str = "none") -> v2.Transform:
        """Return the function from an image to a (3, size, size) float tensor."""
        return v2.Compose(
            [
                v2.ToImage(),
                v2.RGB(),
                *AUGMENTATIONS[augment](self.size),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(self.mean, self.std),
            ]
        )


class _Reader(Dataset):
    """Items are (image, id, label), or a sentence where the image cannot be read: errors lose their form on the way
    out of a worker process, sentences do not."""

    def __init__(self, images: Images, ids: np.ndarray, transform: v2.Transform) -> None:
        self.images, self.ids, self.transform = images, ids, transform

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int, int] | str:
        number = int(self.ids[index])
        try:
            return self.transform(self.images.read(number)), number, int(self.images.labels[number])
        except InputError as error:
            return str(error)


def _collate(items: list[Any]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor] | str:
    problem = next((item for item in items if isinstance(item, str)), None)
    if problem is not None:
        return problem
    images, ids, labels = zip(*items, strict=True)
    return torch.stack(images), torch.tensor(ids), torch.tensor(labels)


def batches(
    images: Images, ids: np.ndarray, transform: v2.Transform, size: int, workers: int = 0
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Yield (images, ids, labels) in the order of `ids`, read ahead of their use.

    Raises
    ------
    InputError
        For an image that cannot be read.
    """
    loader: DataLoader = DataLoader(
        _Reader(images, ids, transform),
        batch_size=size,
        num_workers=workers,
        collate_fn=_collate,
        multiprocessing_context="forkserver" if workers else None,  # no fork once MPI has started
        pin_memory=torch.cuda.is_available(),
    )
    for batch in ahead(loader):
        if isinstance(batch, str):
            raise InputError(batch)
        yield batch


def ahead(items: Sequence[T] | DataLoader, depth: int = AHEAD) -> Iterator[T]:
    """Yield the items of an iterable that a thread of its own consumes up to `depth` items ahead."""
    waiting: queue.Queue = queue.Queue(depth)
    stopped = threading.Event()
    end = object()

    def put(item: object) -> None:
        while not stopped.is_set():
            try:
                return waiting.put(item, timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                put(item)
                if stopped.is_set():
                    return
            put(end)
        except BaseException as error:
            put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        while (item := waiting.get()) is not end:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()


def unreadable(images: Images, ids: np.ndarray) -> list[tuple[int, str]]:
    """Return the ids that cannot be read, each with the sentence that says so."""
    found = []
    for index in ids:
        try:
            images.read(int(index))
        except InputError as error:
            found.append((int(index), str(error)))
    return found
