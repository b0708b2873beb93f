"""Augmented images: torchvision's, each with random numbers of its own, read beside the network."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from vinfo_mpi.data.augmentation import AUGMENTATIONS, DRAWING, Drawing
from vinfo_mpi.data.images import Images
from vinfo_mpi.data.loading import Loader
from vinfo_mpi.data.preprocessing import Preprocessing
from vinfo_mpi.numerics.hashing import hashed

PLAIN = Preprocessing((16, 16), [0.0] * 3, [1.0] * 3, 20)
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 30, 24, 3), np.uint8)
BATCHES = [np.array([0, 4]), np.array([5])]
SEED = 7


def picture(index):
    return Image.fromarray(PIXELS[index])


def loader(read=picture):
    labels = np.zeros(len(PIXELS), np.int64)
    images = Images(read, labels, labels > 0, ["all"])
    return Loader(images, PLAIN, torch.device("cpu"))


@pytest.mark.parametrize("augment", [name for name in AUGMENTATIONS if name != "none"])
def test_images_are_those_of_torchvision_with_the_seed_of_the_image(augment):
    transform = v2.Compose([*AUGMENTATIONS[augment](PLAIN), v2.PILToTensor()])
    expected = []
    for index in np.concatenate(BATCHES):
        torch.manual_seed(int(hashed(np.array([index]), SEED)[0]))
        expected.append(transform(picture(index)) / 255)
    images = torch.cat([batch for batch, _, _ in loader().batches(BATCHES, augment, SEED)])
    assert torch.equal(images, torch.stack(expected))


def test_what_is_drawn_meanwhile_is_left_alone():
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    with Drawing(SEED):
        own = torch.rand(2), torch.randint(0, 9, ()), torch.empty(2).uniform_(0, 1)
    assert torch.equal(torch.rand(2), expected)
    torch.manual_seed(SEED)
    again = torch.rand(2), torch.randint(0, 9, ()), torch.empty(2).uniform_(0, 1)
    assert all(map(torch.equal, own, again))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_augmentation_draws_nothing_of_the_networks_numbers(name):
    before = torch.get_rng_state()
    list(loader().batches(BATCHES, name, SEED))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("function", sorted(DRAWING, key=lambda each: each.__name__))
def test_everything_that_draws_takes_a_generator(function):
    assert "generator" in function.__doc__
    like = torch.full((3,), 0.5)
    arguments = {
        torch.rand: (3,), torch.randn: (3,), torch.randint: (0, 9, (3,)), torch.randperm: (3,),
    }  # fmt: skip
    before = torch.get_rng_state()
    with Drawing(SEED):
        function(*arguments.get(function, (like, 1) if function is torch.multinomial else (like,)))
    assert torch.equal(torch.get_rng_state(), before)


def test_augmented_images_are_read_ahead():
    """The second batch, while the first is in use."""
    opened = threading.Event()

    def read(index):
        if index == BATCHES[1][0]:
            opened.set()
        return picture(index)

    batches = loader(read).batches(BATCHES, "crop", SEED)
    next(batches)
    assert opened.wait(timeout=20)
    assert len(list(batches)) == 1
