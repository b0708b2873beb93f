import random

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from vinfo_mpi.config.schema import Data
from vinfo_mpi.data.survey import check_repeatable, say_what_files_hold
from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel.logs import log

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    "transform",
    [
        v2.RandomHorizontalFlip(),
        v2.RandomCrop(4),
        lambda image: np.asarray(image) + random.random(),
        lambda image: torch.rand(3, 4, 4),
    ],
)
def test_random_transforms_are_refused(transform):
    with pytest.raises(InputError, match=r"own:set: image \d+ differs each time"):
        check_repeatable(lambda index: transform(Image.fromarray(PIXELS[index])), 20, "own:set")


def test_images_that_stay_the_same_and_random_numbers_are_left_alone():
    def read(index):
        if index == 0:
            raise OSError("cut off")
        torch.rand(3)
        return Image.fromarray(PIXELS[index])

    state = torch.get_rng_state()
    check_repeatable(read, 20, "own:set")
    assert torch.equal(torch.get_rng_state(), state)


@pytest.fixture
def photos(tmp_path):
    """One photograph of each kind, and one that is none."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(PIXELS[0])
    image.save(tmp_path / "plain.png")
    image.save(tmp_path / "rotated.jpg", exif=exif)
    image.convert("RGBA").save(tmp_path / "transparent.png")
    image.save(tmp_path / "animated.webp", save_all=True, append_images=[image.rotate(90)])
    Image.fromarray(PIXELS[0, :, :, 0].astype(np.uint16) * 16 % 4096).save(tmp_path / "deep.png")
    (tmp_path / "html.png").write_text("<html>")
    return [str(path) for path in sorted(tmp_path.iterdir())]


@pytest.mark.parametrize(
    "settings, sentences",
    [
        (
            {},
            [
                "1 of 6 images checked are rotated: taken as stored",
                "1 of 6 images checked are transparent: alpha is dropped",
                "1 of 6 images checked are animated: their first frame",
                "1 of 6 images checked are of 16 bits: 65535 is white, the largest value is 3968",
            ],
        ),
        (
            {"exif_rotation": True, "background": "white", "white": 4095},
            ["turned as their EXIF", "laid over white", "4095 is white"],
        ),
    ],
)
def test_what_is_done_with_photographs_is_said(photos, settings, sentences, caplog, monkeypatch):
    monkeypatch.setattr(log, "propagate", True)
    caplog.set_level("INFO", "vinfo_mpi")
    say_what_files_hold(photos, Data(**settings))
    assert len(caplog.messages) == 4
    for sentence in sentences:
        assert sentence in caplog.text
