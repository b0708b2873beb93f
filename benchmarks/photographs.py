"""JPEG photographs that are made up, and how torchvision's reference script reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset
from torchvision import transforms
from torchvision.datasets import ImageFolder

from vinfo_mpi.numerics.hashing import hashed

BLURRED = 8  # pixels over which neighbours are alike
CLASSES = 10


def write(folder: Path, count: int, side: int) -> None:
    """Write so many images of `side` pixels into folders of their classes."""
    random = np.random.default_rng(0)
    sides = (side, side)
    for number in range(count):
        path = folder / str(number % CLASSES) / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = random.integers(0, 256, (side // BLURRED, side // BLURRED, 3), np.uint8)
        Image.fromarray(coarse).resize(sides, Image.Resampling.BICUBIC).save(path, quality=90)


class Augmented(Dataset):
    """The images of a folder as the reference's preset for training makes them, with our seeds.

    Parameters
    ----------
    folder : Path
    size : pair of int
        Pixels of the sides.
    mean, std : list of float
    seed : int
        From which, and the number of an image, follows how it is augmented.
    """

    def __init__(
        self, folder: Path, size: tuple[int, int], mean: list[float], std: list[float], seed: int
    ) -> None:
        steps = [
            transforms.RandomResizedCrop(size),
            transforms.RandomHorizontalFlip(),
            transforms.PILToTensor(),
            transforms.ConvertImageDtype(torch.float),
            transforms.Normalize(mean, std),
        ]
        self.images = ImageFolder(str(folder), transforms.Compose(steps))
        self.seed = seed

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        """Return an image and its class."""
        torch.manual_seed(int(hashed(np.array([number]), self.seed)[0]))
        return self.images[number]
