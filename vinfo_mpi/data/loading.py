"""From ids to batches of tensors: reading, augmenting, normalising, ahead of the network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from multiprocessing.reduction import ForkingPickler
from pickle import PicklingError
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from vinfo_mpi.data.augmentation import AUGMENTATIONS, Drawing
from vinfo_mpi.data.images import Images
from vinfo_mpi.data.preprocessing import Preprocessing
from vinfo_mpi.errors import InputError, in_one_line
from vinfo_mpi.numerics.hashing import hashed
from vinfo_mpi.parallel import readers
from vinfo_mpi.parallel.prefetch import ahead

MEMORY = 2**29  # bytes of images that a rank remembers


class Loader:
    """Gives batches of images to the network.

    Parameters
    ----------
    images : Images
    preprocessing : Preprocessing
    device : torch.device
        Where batches go; they travel as 8-bit images and are normalised there.
    workers : int
        Processes that read, from the first batches until `rest`; 0: a thread of this process, which
        also remembers up to `MEMORY` bytes of images.

    Attributes
    ----------
    contents : (B,) int64 array
        Of the batch that was yielded last, the hash of each image's values: copies have the same.
    """

    def __init__(
        self, images: Images, preprocessing: Preprocessing, device: torch.device, workers: int = 0
    ) -> None:
        self.images = images
        self.preprocessing = preprocessing
        self.device = device
        self.workers = workers
        self.contents = np.empty(0, np.int64)
        self._known: dict[int, torch.Tensor] = {}
        self._idle: tuple[_Requests, DataLoader] | None = None
        if workers:
            _check_travels(images)
            readers.prepare()

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
        # Processes that are still reading for someone who has left are not asked again.
        requests, loader = self._idle or self._readers()
        self._idle = None
        requests.are(batches, augment, seed)
        batch: Any
        for batch in ahead(loader, device=self.device):
            if isinstance(batch, str):
                raise InputError(batch)
            images, ids, labels, contents = batch
            self.contents = contents.numpy()
            on_device = images.to(self.device, non_blocking=True)
            yield self.preprocessing.network_input(on_device), ids, labels
        self._idle = (requests, loader)

    def rest(self) -> None:
        """End the processes that read."""
        self._idle = None

    def _readers(self) -> tuple[_Requests, DataLoader]:
        """Return what reads, and what it is asked for; processes start with the first batch."""
        requests = _Requests()
        loader: DataLoader = DataLoader(
            _Reader(self.images, self.preprocessing, None if self.workers else self._known),
            batch_sampler=requests,
            num_workers=self.workers,
            collate_fn=_collate,
            multiprocessing_context="forkserver" if self.workers else None,
            persistent_workers=self.workers > 0,
            generator=torch.Generator(),  # the loader would draw from the network's random numbers
            pin_memory=self.device.type == "cuda",
        )
        return requests, loader


class _Request(NamedTuple):
    """An image by its number, how it is augmented, and the seed of that."""

    number: int
    augment: str
    seed: int


class _Requests:
    """The images that are wanted next, batch by batch."""

    def are(self, batches: Sequence[np.ndarray], augment: str, seed: int) -> None:
        """Set them."""
        self._batches = batches
        self._augment = augment
        self._seed = seed

    def __iter__(self) -> Iterator[list[_Request]]:
        for batch in self._batches:
            yield [_Request(index, self._augment, self._seed) for index in batch.tolist()]


class _Reader(Dataset):
    """Items are (image, id, label, hash), or a sentence where the image cannot be read.

    Errors lose their form on the way out of a worker process, sentences do not.
    """

    def __init__(
        self,
        images: Images,
        preprocessing: Preprocessing,
        known: dict[int, torch.Tensor] | None,
    ) -> None:
        self.images = images
        self.preprocessing = preprocessing
        self.known = known
        self.transforms: dict[str, v2.Transform] = {}

    def __getitem__(self, request: _Request) -> tuple[torch.Tensor, int, int, int] | str:
        index = request.number
        try:
            image = self._image(*request)
            return image, index, int(self.images.labels[index]), _content(image)
        except InputError as error:
            return str(error)

    def _image(self, index: int, augment: str, seed: int) -> torch.Tensor:
        augmented = augment != "none"
        known = {} if augmented or self.known is None else self.known
        if index in known:
            return known[index]
        drawing = Drawing(int(hashed(np.array([index]), seed)[0])) if augmented else nullcontext()
        with drawing:
            image = self.preprocessing.checked(self.images.read(index), index)
            image = self._transform(augment)(image).as_subclass(torch.Tensor)
        if len(known) * image.nbytes <= MEMORY:
            known[index] = image
        return image

    def _transform(self, augment: str) -> v2.Transform:
        """Return what makes an image of the network's size; it is made once."""
        if augment not in self.transforms:
            # What is a picture is resized as one: a tensor made of it would be rounded otherwise
            # than by the transforms that weights come with.
            target = self.preprocessing
            steps = [*target.coloured(), *AUGMENTATIONS[augment](target), v2.ToImage()]
            self.transforms[augment] = v2.Compose(steps)
        return self.transforms[augment]


def _content(image: torch.Tensor) -> int:
    """Return the hash of an image's values."""
    # Processors have instructions for it: 0.13 ms for 224 x 224 pixels, a fortieth of reading them.
    digest = hashlib.sha256(image.contiguous().numpy().data).digest()
    return int.from_bytes(digest[:8], "little", signed=True)


def _collate(items: list[Any]) -> tuple[torch.Tensor, ...] | str:
    problem = next((item for item in items if isinstance(item, str)), None)
    if problem is not None:
        return problem
    images, *numbers = zip(*items, strict=True)
    return torch.stack(images), *map(torch.tensor, numbers)


def _check_travels(images: Images) -> None:
    """Raise `InputError` where images cannot be sent to the processes that read them."""
    try:
        ForkingPickler.dumps(images)
    except (PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            "machine.workers: the data set cannot be sent to other processes "
            f"({in_one_line(error)}); use functions of modules instead of lambdas, open "
            "files when an image is read, or set machine.workers: 0"
        ) from None


def unreadable(images: Images, ids: Iterable[int]) -> list[tuple[int, str]]:
    """Return the ids that cannot be read, each with the sentence that says so."""
    sentences = []
    for index in ids:
        try:
            images.read(index)
        except InputError as error:
            sentences.append((index, str(error)))
    return sentences
