"""What enters the network, beside torchvision's own transforms of the same pictures."""

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torchvision.transforms import v2

from vinfo_mpi.config.schema import Data, Network
from vinfo_mpi.data.images import Images
from vinfo_mpi.data.loading import Loader
from vinfo_mpi.data.preprocessing import Preprocessing
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import architectures

CPU = torch.device("cpu")
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def pictures(count=3, height=300, width=410):
    """Photographs' size and smoothness, and some noise."""
    generator = np.random.default_rng(0)
    small = generator.integers(0, 256, (count, height // 9, width // 9, 3), np.uint8)
    large = [np.array(Image.fromarray(each).resize((width, height))) for each in small]
    noise = generator.integers(-30, 30, (count, height, width, 3))
    return [Image.fromarray((image + n).clip(0, 255).astype(np.uint8))
            for image, n in zip(large, noise, strict=True)]  # fmt: skip


def loaded(images, preprocessing):
    labels = np.zeros(len(images), np.int64)
    source = Images(images.__getitem__, labels, labels > 0, ["all"])
    batches = Loader(source, preprocessing, CPU).batches([np.arange(len(images))])
    return next(iter(batches))[0]


@pytest.mark.parametrize(
    "name, weights",
    [
        ("resnet18", "IMAGENET1K_V1"),  # 256, 224, bilinear
        ("resnet50", "IMAGENET1K_V2"),  # 232, 224
        ("efficientnet_b0", "IMAGENET1K_V1"),  # bicubic
        ("vit_b_16", "IMAGENET1K_SWAG_E2E_V1"),  # 384, nothing cut off
        ("inception_v3", "IMAGENET1K_V1"),  # 342, 299
    ],
)
def test_weights_of_torchvision_see_what_their_own_transforms_give(name, weights):
    transforms = torchvision.models.get_model_weights(name)[weights].transforms()
    own = architectures.own_preprocessing(Network(name=name, weights=weights))
    images = pictures()
    expected = torch.stack([transforms(image) for image in images])
    result = loaded(images, Preprocessing.from_config(Data(), own))
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-6)
    tensors = [v2.functional.pil_to_tensor(image) for image in images]
    expected = torch.stack([transforms(image) for image in tensors])
    torch.testing.assert_close(
        loaded(tensors, Preprocessing.from_config(Data(), own)), expected, rtol=0, atol=1e-6
    )


def test_what_is_set_by_hand_is_what_torchvision_does():
    images = pictures()
    given = Data(image_size=64, crop=0.875, interpolation="bicubic", **IMAGENET)
    bicubic = torchvision.transforms.InterpolationMode.BICUBIC
    peer = v2.Compose(
        [
            v2.Resize(73, bicubic),  # 64 / 0.875, rounded down
            v2.CenterCrop(64),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(**IMAGENET),
        ]
    )
    expected = torch.stack([peer(image) for image in images])
    torch.testing.assert_close(loaded(images, Preprocessing.from_config(given)), expected)
    both = Data(image_size=[48, 64], **IMAGENET)
    peer.transforms[:2] = [v2.Resize((48, 64))]
    expected = torch.stack([peer(image) for image in images])
    torch.testing.assert_close(loaded(images, Preprocessing.from_config(both)), expected)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_normalised_as_torchvision_does(dtype):
    images = torch.randint(0, 256, (4, 3, 5, 5), dtype=torch.uint8)
    images = images if dtype == torch.uint8 else images / 255
    mean = [0.4, 0.5, 0.6]
    std = [0.1, 0.2, 0.3]
    peer = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)])
    preprocessing = Preprocessing((5, 5), mean, std, 5)
    torch.testing.assert_close(preprocessing.normalise(images), peer(images))


def test_another_size_keeps_the_share_that_is_cut_out():
    own = architectures.own_preprocessing(Network(name="resnet18", weights="IMAGENET1K_V1"))
    assert Preprocessing.from_config(Data(), own).resize == 256
    assert Preprocessing.from_config(Data(image_size=112), own).resize == 128
    assert Preprocessing.from_config(Data(image_size=112, resize=112), own).resize == 112
    assert Preprocessing.from_config(Data(image_size=224, crop=1.0), own).resize == 224
    assert Preprocessing.from_config(Data(image_size=[32, 64])).resize == (32, 64)
    partly = Preprocessing.from_config(Data(std=[1.0] * 3), own)
    assert (partly.mean, partly.std) == (IMAGENET["mean"], [1.0] * 3)
    assert Preprocessing.from_config(Data()) == Preprocessing((32, 32), [0.5] * 3, [0.5] * 3, 32)


def test_the_line_says_what_is_done_and_who_says_so():
    own = architectures.own_preprocessing(Network(name="efficientnet_b0", weights="IMAGENET1K_V1"))
    line = str(Preprocessing.from_config(Data(mean=[0.5, 0.4, 0.3]), own))
    assert line == (
        "224 × 224 pixels (of IMAGENET1K_V1): shorter side to 256 (of IMAGENET1K_V1), bicubic "
        "(of IMAGENET1K_V1), middle cut out; mean 0.5 0.4 0.3 (set), "
        "std 0.229 0.224 0.225 (of IMAGENET1K_V1)"
    )
    default = Preprocessing.from_config(Data(image_size=[8, 16], std=[1.0, 1.0, 1.0]))
    assert str(default) == (
        "8 × 16 pixels (set): both sides to 8 × 16 (set), bilinear (default), middle cut out; "
        "mean 0.5 (default), std 1 (set)"
    )
    assert default.defaults == ["mean"]


# --- channels ---


def test_grey_networks_see_grey_images():
    grey = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    one = Preprocessing.from_config(Data(image_size=8, mean=[0.0], std=[1.0]))
    for image in (Image.fromarray(grey), Image.fromarray(grey).convert("RGB")):
        inputs = loaded([image], one)
        np.testing.assert_allclose(inputs[0, 0], grey / 255, atol=1e-6)
    assert one.shown(inputs).shape == (1, 3, 8, 8)
    torch.testing.assert_close(one.shown(inputs)[0, 2], inputs[0, 0])


def test_more_channels_stay_as_they_are():
    image = torch.rand(5, 8, 8)
    five = Preprocessing.from_config(Data(image_size=8, mean=[0.0] * 5, std=[1.0] * 5))
    torch.testing.assert_close(loaded([image], five)[0], image)


def test_mean_and_std_go_together():
    with pytest.raises(InputError, match=r"a value for every channel each, found 1 and 3"):
        Preprocessing.from_config(Data(mean=[0.5], std=[0.5] * 3))


# --- data sets that normalise ---


def test_a_data_set_that_normalises_is_not_normalised_again():
    images = torch.rand(2, 3, 8, 8)
    normalise = v2.Normalize(**IMAGENET)
    twice = Preprocessing.from_config(Data(image_size=8, **IMAGENET))
    once = Preprocessing.from_config(Data(image_size=8, normalised=True, **IMAGENET))
    with pytest.raises(InputError, match=r"image 0 has values from -.*set data\.normalised: true"):
        loaded(list(normalise(images)), twice)
    result = loaded(list(normalise(images)), once)
    torch.testing.assert_close(result, normalise(images))
    torch.testing.assert_close(once.denormalise(result), images)
    assert "as the data set gives them, normalised" in str(once)


def test_what_cannot_have_been_normalised_is_refused():
    once = Preprocessing.from_config(Data(image_size=8, normalised=True, **IMAGENET))
    with pytest.raises(
        InputError, match=r"data\.normalised is true, but image 0 is made of .*uint8"
    ):
        loaded([Image.new("RGB", (8, 8))], once)
    with pytest.raises(InputError, match=r"image 0 has shape \(3, 9, 9\) .*set data\.image_size"):
        loaded([torch.rand(3, 9, 9)], once)
    with pytest.raises(InputError, match=r"data\.normalised: set data\.mean and data\.std"):
        Preprocessing.from_config(Data(normalised=True))


def test_what_is_shown_is_what_was_normalised():
    preprocessing = Preprocessing((8, 8), [0.4, 0.5, 0.6], [0.2, 0.3, 0.1], 8)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 3, 8, 8), generator=generator).byte()
    shown_images = preprocessing.denormalise(preprocessing.normalise(images))
    torch.testing.assert_close((255 * shown_images).round().byte(), images)
