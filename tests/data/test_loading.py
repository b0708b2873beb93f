from dataclasses import replace

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from vinfo_mpi.config.schema import Data
from vinfo_mpi.data import datasets
from vinfo_mpi.data.loading import Loader, unreadable
from vinfo_mpi.data.preprocessing import Preprocessing
from vinfo_mpi.errors import InputError

CPU = torch.device("cpu")
HALF = Preprocessing((8, 8), [0.5] * 3, [0.5] * 3, 8)


@pytest.fixture
def folder(tmp_path):
    """Nine images of different sizes in three classes, number 4 unreadable."""
    generator = np.random.default_rng(0)
    for number in range(9):
        path = tmp_path / str(number // 3) / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (10 + number, 12, 3), np.uint8)).save(path)
    path = tmp_path / "1" / "4.png"
    path.write_bytes(path.read_bytes()[:80])
    return datasets.load(Data(source="folder", root=str(tmp_path)), seed=0)


# --- batches ---


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_come_in_the_order_of_the_ids(folder, workers):
    ids = np.array([8, 0, 5, 2, 7])
    batches = list(Loader(folder, HALF, CPU, workers).batches([ids[:2], ids[2:4], ids[4:]]))
    assert [numbers.tolist() for _, numbers, _ in batches] == [[8, 0], [5, 2], [7]]
    assert [labels.tolist() for _, _, labels in batches] == [[2, 0], [1, 0], [2]]
    # The same as each image by itself, read by hand.
    transform = v2.Compose([v2.Resize(8), v2.CenterCrop(8), v2.PILToTensor()])
    alone = torch.stack([transform(folder.read(index)) for index in ids])
    assert torch.equal(torch.cat([images for images, _, _ in batches]), HALF.normalise(alone))


def test_copies_of_an_image_have_the_same_hash(folder):
    loader = Loader(folder, HALF, CPU)
    hashes = [loader.contents.tolist() for _ in loader.batches([np.array([8, 0]), np.array([8])])]
    assert hashes[0][0] == hashes[1][0] != hashes[0][1]


@pytest.mark.parametrize("workers", [0, 1])
def test_unreadable_image_ends_the_batches(folder, workers):
    batches = Loader(folder, HALF, CPU, workers).batches(np.split(np.arange(8), 4))
    assert next(batches)[1].tolist() == [0, 1]
    with pytest.raises(InputError, match=r"cannot read the image .*1/4\.png"):
        list(batches)


def test_what_cannot_be_sent_to_processes_is_refused(folder):
    with pytest.raises(InputError, match=r"machine\.workers: .*lambda.*machine\.workers: 0"):
        Loader(replace(folder, read=lambda index: folder.read(index)), HALF, CPU, workers=1)


def test_unreadable_images_are_listed(folder):
    [(index, sentence)] = unreadable(folder, range(9))
    assert index == 4
    assert "1/4.png" in sentence


def readers():
    """Return the processes below this one, but for multiprocessing's own."""
    servers = psutil.Process().children()
    return {process for server in servers for process in server.children()}


def test_processes_that_read_serve_until_they_may_rest(folder):
    """Whatever is asked of them; those that somebody has left are not asked again."""
    loader = Loader(folder, HALF, CPU, workers=1)
    batches = [np.array([0, 1]), np.array([2])]
    before = readers()
    plain = torch.cat([images for images, _, _ in loader.batches(batches)])
    first = readers() - before
    assert len(first) == 1
    augmented = [*loader.batches(batches[:1], "crop", 3), *loader.batches(batches[:1], "crop", 4)]
    again = torch.cat([images for images, _, _ in loader.batches(batches)])
    assert readers() - before == first
    assert torch.equal(plain, again)
    assert not torch.equal(augmented[0][0], augmented[1][0])
    next(loader.batches(batches))
    assert torch.equal(next(loader.batches(batches))[0], plain[:2])
    list(loader.batches(batches))
    loader.rest()
    psutil.wait_procs(first, timeout=10)
    assert not readers() & first


def test_remembered_images_are_the_same(folder):
    reads = []

    def read(index):
        reads.append(index)
        return folder.read(index)

    loader = Loader(replace(folder, read=read), HALF, CPU)
    batches = [np.array([0, 1]), np.array([2])]
    first = torch.cat([images for images, _, _ in loader.batches(batches)])
    again = torch.cat([images for images, _, _ in loader.batches(batches)])
    assert torch.equal(first, again)
    assert reads == [0, 1, 2]


@pytest.mark.parametrize("workers", [0, 1])
def test_augmentation_follows_from_seed_and_image_alone(folder, workers):
    """Not from the order, nor from what else draws random numbers.

    And it leaves those of the network alone.
    """

    def augmented(ids, seed):
        torch.manual_seed(0)
        loader = Loader(folder, HALF, CPU, workers)
        images, numbers, _ = next(loader.batches([np.array(ids)], "resized-crop-flip", seed))
        untouched = torch.rand(1, generator=torch.Generator().manual_seed(0))
        assert workers or torch.equal(torch.rand(1), untouched)
        return dict(zip(numbers.tolist(), images, strict=True))

    first = augmented([0, 1, 2], 5)
    again = augmented([2, 0], 5)
    other_seed = augmented([0, 1, 2], 6)
    assert all(torch.equal(first[number], again[number]) for number in again)
    assert not any(torch.equal(first[number], other_seed[number]) for number in other_seed)
    assert not torch.equal(first[0], first[1])
