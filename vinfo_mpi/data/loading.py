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
from vinfo_mpi.data.images import Images
from vinfo_mpi.errors import InputError
from vinfo_mpi.numerics.hashing import hashed
from vinfo_mpi.parallel import signals
from vinfo_mpi.parallel.prefetch import ahead

DEFAULT_SIZE = 32
MEMORY = 2**29  # bytes of images that a rank remembers


@dataclass(frozen=True)
class Preprocessing:
    """Size and normalisation of a network's input.

    The shorter side becomes `resize`, the middle is cut to `size`.
    """

    size: int
    mean: list[float]
    std: list[float]
    resize: int

    @classmethod
    def from_config(cls, data: Data, transforms: Any = None) -> Preprocessing:
        """Return what the configuration says, completed by the weights' own transforms."""
        size = data.image_size or (transforms.crop_size[0] if transforms else DEFAULT_SIZE)
        mean = data.mean or (list(transforms.mean) if transforms else [0.5, 0.5, 0.5])
        std = data.std or (list(transforms.std) if transforms else [0.5, 0.5, 0.5])
        if not len(mean) == len(std) == 3:
            raise InputError(
                f"data.mean and data.std need 3 values each, found {len(mean)} and {len(std)}"
            )
        resize = transforms.resize_size[0] if transforms and not data.image_size else size
        return cls(size, mean, std, resize)

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        """Return the network's input for a batch of images, on their device.

        The images are 8-bit, or float in [0, 1].
        """
        values = images.float().div_(255) if images.dtype == torch.uint8 else images.float()
        return (values - _per_channel(self.mean, images)).div_(_per_channel(self.std, images))

    def denormalised(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return images in [0, 1] as people see them, from the network's input."""
        images = inputs * _per_channel(self.std, inputs) + _per_channel(self.mean, inputs)
        return images.clamp(0, 1)


def _per_channel(values: list[float], images: torch.Tensor) -> torch.Tensor:
    """Return numbers of channels in the form that goes with images, on their device: (3, 1, 1)."""
    return torch.tensor(values, device=images.device)[:, None, None]


AUGMENTATIONS: dict[str, Callable[[Preprocessing], list[Any]]] = {
    "none": lambda target: [
        v2.Resize(target.resize, antialias=True),
        v2.CenterCrop(target.size),
    ],
    "crop": lambda target: [
        v2.Resize(target.resize, antialias=True),
        v2.RandomCrop(target.size, padding=target.size // 8),
    ],
    "crop-flip": lambda target: [
        *AUGMENTATIONS["crop"](target),
        v2.RandomHorizontalFlip(),
    ],
    "resized-crop-flip": lambda target: [
        v2.RandomResizedCrop(target.size, antialias=True),
        v2.RandomHorizontalFlip(),
    ],
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
        Processes that read; 0: a thread of this process, which also remembers up to `MEMORY`
        bytes of images.
    """

    def __init__(
        self, images: Images, preprocessing: Preprocessing, device: torch.device, workers: int = 0
    ) -> None:
        self.images = images
        self.preprocessing = preprocessing
        self.device = device
        self.workers = workers
        self._known: dict[int, torch.Tensor] = {}
        if workers:
            # Without this each worker would import torch again.
            multiprocessing.set_forkserver_preload([__name__])
            with signals.not_heard_by_children():
                multiprocessing.forkserver.ensure_running()

    def batches(
        self, batches: Sequence[np.ndarray], augment: str = "none", seed: int = 0
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Yield (images, ids, labels) for every batch of ids, read ahead of their use.

        Images are on the device. How an image is augmented follows from `seed` and its id, not
        from when or by which rank it is read.

        Raises
        ------
        InputError
            For an image that cannot be read.
        """
        transform = v2.Compose(
            [v2.ToImage(), v2.RGB(), *AUGMENTATIONS[augment](self.preprocessing)]
        )
        augmented = augment != "none"
        known = None if augmented or self.workers else self._known
        loader: DataLoader = DataLoader(
            _Reader(self.images, transform, known, seed if augmented else None),
            batch_sampler=[batch.tolist() for batch in batches],
            num_workers=self.workers,
            collate_fn=_collate,
            # No fork once MPI has started.
            multiprocessing_context="forkserver" if self.workers else None,
            generator=torch.Generator(),  # the loader would draw from the network's random numbers
            pin_memory=self.device.type == "cuda",
        )
        # A thread would draw from the same random numbers as the network's dropout: augmented
        # images are read in turn, or by processes.
        batch: Any
        for batch in loader if augmented else ahead(loader, device=self.device):
            if isinstance(batch, str):
                raise InputError(batch)
            images, ids, labels = batch
            on_device = images.to(self.device, non_blocking=True)
            yield self.preprocessing.normalised(on_device), ids, labels


class _Reader(Dataset):
    """Items are (image, id, label), or a sentence where the image cannot be read.

    Errors lose their form on the way out of a worker process, sentences do not.
    """

    def __init__(
        self,
        images: Images,
        transform: v2.Transform,
        known: dict[int, torch.Tensor] | None,
        seed: int | None,
    ) -> None:
        self.images = images
        self.transform = transform
        self.known = known
        self.seed = seed

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int, int] | str:
        try:
            return self._image(index), index, int(self.images.labels[index])
        except InputError as error:
            return str(error)

    def _image(self, index: int) -> torch.Tensor:
        if self.known is not None and index in self.known:
            return self.known[index]
        with torch.random.fork_rng([], enabled=self.seed is not None):
            if self.seed is not None:
                torch.default_generator.manual_seed(int(hashed(np.array([index]), self.seed)[0]))
            image = self.transform(self.images.read(index)).as_subclass(torch.Tensor)
        if self.known is not None and len(self.known) * image.nbytes <= MEMORY:
            self.known[index] = image
        return image


def _collate(items: list[Any]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor] | str:
    problem = next((item for item in items if isinstance(item, str)), None)
    if problem is not None:
        return problem
    images, ids, labels = zip(*items, strict=True)
    return torch.stack(images), torch.tensor(ids), torch.tensor(labels)


def unreadable(images: Images, ids: Iterable[int]) -> list[tuple[int, str]]:
    """Return the ids that cannot be read, each with the sentence that says so."""
    sentences = []
    for index in ids:
        try:
            images.read(index)
        except InputError as error:
            sentences.append((index, str(error)))
    return sentences
