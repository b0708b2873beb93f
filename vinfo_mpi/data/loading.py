"""From ids to batches of tensors: reading, augmenting, normalising, ahead of the network."""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from vinfo_mpi.config.schema import Data
from vinfo_mpi.data.datasets import Images
from vinfo_mpi.errors import InputError
from vinfo_mpi.numerics.hashing import hashed
from vinfo_mpi.parallel import signals
from vinfo_mpi.parallel.prefetch import ahead

DEFAULT_SIZE = 32
MEMORY = 2**29  # bytes of images that a rank remembers


@dataclass(frozen=True)
class Preprocessing:
    """Size and normalisation of a network's input: the shorter side becomes `resize`, the middle is cut to `size`."""

    size: int
    mean: list[float]
    std: list[float]
    resize: int

    @classmethod
    def of(cls, data: Data, own: Any = None) -> Preprocessing:
        """Return what the configuration says, completed by the weights' own transforms."""
        size = data.image_size or (own.crop_size[0] if own else DEFAULT_SIZE)
        mean = data.mean or (list(own.mean) if own else [0.5, 0.5, 0.5])
        std = data.std or (list(own.std) if own else [0.5, 0.5, 0.5])
        if not len(mean) == len(std) == 3:
            raise InputError(f"data.mean and data.std need 3 values each, found {len(mean)} and {len(std)}")
        resize = own.resize_size[0] if own and not data.image_size else size
        return cls(size, mean, std, resize)

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        """Return the network's input for a batch of 8-bit (or float, in [0, 1]) images, on their device."""
        values = images.float().div_(255) if images.dtype == torch.uint8 else images.float()
        mean, std = (torch.tensor(part, device=images.device)[:, None, None] for part in (self.mean, self.std))
        return (values - mean).div_(std)

    def shown(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return images in [0, 1] as people see them, from the network's input."""
        mean, std = (torch.tensor(part, device=inputs.device)[:, None, None] for part in (self.mean, self.std))
        return (inputs * std + mean).clamp(0, 1)


AUGMENTATIONS: dict[str, Callable[[Preprocessing], list[Any]]] = {
    "none": lambda own: [v2.Resize(own.resize, antialias=True), v2.CenterCrop(own.size)],
    "crop": lambda own: [v2.Resize(own.resize, antialias=True), v2.RandomCrop(own.size, padding=own.size // 8)],
    "crop-flip": lambda own: [*AUGMENTATIONS["crop"](own), v2.RandomHorizontalFlip()],
    "resized-crop-flip": lambda own: [v2.RandomResizedCrop(own.size, antialias=True), v2.RandomHorizontalFlip()],
}


class Loader:
    """Gives batches of images to the network.

    Parameters
    ----------
    images : Images
    preprocessing : Preprocessing
    device : torch.device
        Where batches go; they travel as 8-bit images and are normalised there.
    workers : int
        Processes that read; 0: a thread of this process, which also remembers up to `MEMORY` bytes of images.
    """

    def __init__(self, images: Images, preprocessing: Preprocessing, device: torch.device, workers: int = 0) -> None:
        self.images, self.preprocessing, self.device, self.workers = images, preprocessing, device, workers
        self._known: dict[int, torch.Tensor] = {}
        if workers:
            multiprocessing.set_forkserver_preload([__name__])  # each worker would import torch again
            with signals.not_heard_by_children():
                multiprocessing.forkserver.ensure_running()

    def batches(
        self, batches: Sequence[np.ndarray], augment: str = "none", seed: int = 0
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Yield (images, ids, labels) for every batch of ids, read ahead of their use; images are on the device.

        How an image is augmented follows from `seed` and its id, not from when or by which rank it is read.

        Raises
        ------
        InputError
            For an image that cannot be read.
        """
        transform = v2.Compose([v2.ToImage(), v2.RGB(), *AUGMENTATIONS[augment](self.preprocessing)])
        known = self._known if augment == "none" and not self.workers else None
        loader: DataLoader = DataLoader(
            _Reader(self.images, transform, known, None if augment == "none" else seed),
            batch_sampler=[batch.tolist() for batch in batches],
            num_workers=self.workers,
            collate_fn=_collate,
            multiprocessing_context="forkserver" if self.workers else None,  # no fork once MPI has started
            generator=torch.Generator(),  # the loader would draw from the network's random numbers
            pin_memory=self.device.type == "cuda",
        )
        # A thread would draw from the same random numbers as the network's dropout: augmented images are read in turn,
        # or by processes.
        batch: Any
        for batch in ahead(loader, device=self.device) if augment == "none" else loader:
            if isinstance(batch, str):
                raise InputError(batch)
            images, numbers, labels = batch
            yield self.preprocessing.normalised(images.to(self.device, non_blocking=True)), numbers, labels


class _Reader(Dataset):
    """Items are (image, id, label), or a sentence where the image cannot be read: errors lose their form on the way
    out of a worker process, sentences do not.
    """

    def __init__(self, images: Images, transform: v2.Transform, known: dict[int, torch.Tensor] | None, seed: int | None) -> None:
        self.images, self.transform, self.known, self.seed = images, transform, known, seed

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int, int] | str:
        try:
            return self._image(number), number, int(self.images.labels[number])
        except InputError as error:
            return str(error)

    def _image(self, number: int) -> torch.Tensor:
        if self.known is not None and number in self.known:
            return self.known[number]
        with torch.random.fork_rng([], enabled=self.seed is not None):
            if self.seed is not None:
                torch.default_generator.manual_seed(int(hashed(np.array([number]), self.seed)[0]))
            image = self.transform(self.images.read(number)).as_subclass(torch.Tensor)
        if self.known is not None and len(self.known) * image.nbytes <= MEMORY:
            self.known[number] = image
        return image


def _collate(items: list[Any]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor] | str:
    problem = next((item for item in items if isinstance(item, str)), None)
    if problem is not None:
        return problem
    images, ids, labels = zip(*items, strict=True)
    return torch.stack(images), torch.tensor(ids), torch.tensor(labels)


def unreadable(images: Images, ids: Iterable[int]) -> list[tuple[int, str]]:
    """Return the ids that cannot be read, each with the sentence that says so."""
    found = []
    for index in ids:
        try:
            images.read(index)
        except InputError as error:
            found.append((index, str(error)))
    return found
