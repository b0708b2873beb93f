"""Other images under the same numbers are noticed, by whichever stage looks at images next."""

from dataclasses import replace

import pytest
import torch
from PIL import Image

from vinfo_mpi.config.schema import Config, Data
from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.run import image_list
from vinfo_mpi.run.subject import Subject


@pytest.fixture
def photos(tmp_path):
    for name in ("cat/1", "cat/2", "dog/1", "dog/2"):
        path = tmp_path / "photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(path)
    (tmp_path / "run").mkdir()
    return tmp_path / "photos"


def images(photos, **settings):
    """Return the images as a command of the run finds them."""
    data = {"source": "folder", "root": str(photos), **settings}
    config = Config.model_validate({"data": data, "network": {"name": "resnet18"}})
    return Subject(config, photos.parent / "run", Ranks(), torch.device("cpu")).images


@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda root: Image.new("L", (4, 4)).save(root / "cat/0.png"), r"1 added \(first: cat/0"),
        (lambda root: (root / "dog/1.png").rename(root / "cat/3.png"), "1 added .*, 1 removed"),
        (lambda root: (root / "cat/1.png").unlink(), r"1 removed \(first: cat/1\.png\)"),
    ],
)  # fmt: skip
def test_images_that_have_come_gone_or_moved(photos, change, sentence):
    first = images(photos)
    assert images(photos).names == first.names
    change(photos)
    with pytest.raises(InputError, match=rf"the images are not those of .*run: {sentence}"):
        images(photos)
    image_list.forget(photos.parent / "run")
    assert images(photos).names != first.names


def test_images_from_elsewhere_are_another_list(photos):
    images(photos)
    (photos / "cat" / "1.png").unlink()
    with pytest.raises(InputError, match="1 removed"):
        images(photos, image_size=8)
    photos = photos.rename(photos.with_name("others"))
    assert len(images(photos).names) == 3


def test_labels_tell_data_sets_without_names_apart(photos):
    run = photos.parent / "run"
    found = images(photos)
    data = Data()
    image_list.check(run, replace(found, names=None), data)
    image_list.check(run, replace(found, names=None), data)
    with pytest.raises(InputError, match="their order has changed"):
        image_list.check(run, replace(found, names=None, labels=found.labels[::-1]), data)
