"""Every kind of image comes to the network as the grey ramp or the colour that it shows."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from vinfo_mpi.config.schema import Data
from vinfo_mpi.data.pixels import as_image
from vinfo_mpi.data.preprocessing import Preprocessing
from vinfo_mpi.errors import InputError

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
COLOUR = np.random.default_rng(0).integers(0, 256, (16, 12, 3), np.uint8)


def levels(image, **settings):
    """Return what the loader sees as floats from 0 to 255: (H, W) or (H, W, C)."""
    made = as_image(image, Data(**settings))
    if isinstance(made, Image.Image):
        assert made.mode in ("L", "RGB")
        return np.asarray(made).astype(float)
    assert made.dtype in (torch.uint8, torch.float32)
    values = made.double().numpy() * (1 if made.dtype == torch.uint8 else 255)
    return values.transpose(1, 2, 0).squeeze()


def reopened(image, form, **options):
    """Return an image as it is read from a file of this form."""
    memory = io.BytesIO()
    image.save(memory, form, **options)
    return Image.open(memory)


@pytest.mark.parametrize(
    "image, settings",
    [
        (Image.fromarray(RAMP), {}),
        (Image.fromarray(RAMP).convert("LA"), {}),
        (Image.fromarray(RAMP).convert("P"), {}),
        (reopened(Image.fromarray(RAMP.astype(np.uint16) * 257), "png"), {}),
        (reopened(Image.fromarray(RAMP.astype(np.uint16) * 256), "tiff"), {}),
        (Image.fromarray(RAMP.astype(np.int32) * 16), {"white": 255 * 16}),
        (Image.fromarray(RAMP.astype(np.float32) / 255), {}),
        (Image.fromarray(RAMP.astype(np.float32)), {"white": 255}),
        (RAMP, {}),
        (RAMP[..., None], {}),
        (RAMP.astype(np.uint16) * 257, {}),
        (RAMP.astype(">u2") * 257, {}),
        (RAMP.astype(np.uint16) * 16, {"white": 255 * 16}),
        (RAMP.astype(np.int64), {"white": 255}),
        (RAMP / 255, {}),
        (torch.from_numpy(RAMP), {}),
        (torch.from_numpy(RAMP)[None], {}),
        (torch.from_numpy(RAMP.astype(np.uint16) * 257), {}),
        (torch.from_numpy(RAMP)[None].long(), {"white": 255}),
        (torch.from_numpy(RAMP)[None].double() / 255, {}),
    ],
)  # fmt: skip
def test_a_ramp_stays_the_ramp(image, settings):
    found = levels(image, **settings)
    found = found if found.ndim == 2 else found[..., 0]
    np.testing.assert_allclose(found, RAMP, atol=1e-4)


@pytest.mark.parametrize(
    "image",
    [
        COLOUR,
        COLOUR.transpose(2, 0, 1),
        torch.from_numpy(COLOUR.transpose(2, 0, 1).copy()),
        torch.from_numpy(COLOUR),
        (COLOUR / 255).astype(np.float16),
        torch.from_numpy(COLOUR).double() / 255,
        Image.fromarray(COLOUR),
        Image.fromarray(COLOUR).convert("RGBA"),
        reopened(Image.fromarray(COLOUR), "png"),
        reopened(Image.fromarray(COLOUR), "webp", lossless=True, save_all=True,
                 append_images=[Image.fromarray(255 - COLOUR)]),
    ],
)  # fmt: skip
def test_colours_stay_the_colours(image):
    np.testing.assert_allclose(levels(image), COLOUR, atol=0.1)


def test_bilevel_and_boolean_images_are_black_and_white():
    bits = RAMP > 100
    for image in (Image.fromarray(bits), bits, torch.from_numpy(bits)):
        found = levels(image)
        assert np.array_equal(found if found.ndim == 2 else found[..., 0], bits * 255.0)


def test_bfloat16_is_read_to_its_precision():
    found = levels(torch.from_numpy(RAMP / 255).bfloat16())
    np.testing.assert_allclose(found, RAMP, atol=1)


def test_cmyk_is_converted_as_pillow_does():
    image = reopened(Image.fromarray(COLOUR).convert("CMYK"), "jpeg")
    assert np.array_equal(levels(image), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("background, under", [("white", 255), ("#102030", (16, 32, 48))])
def test_alpha_is_dropped_or_lies_over_the_background(background, under):
    alpha = np.arange(16 * 12, dtype=np.uint8).reshape(16, 12, 1)
    pixels = np.concatenate([COLOUR, alpha], axis=2)
    image = Image.fromarray(pixels)
    assert np.array_equal(levels(image), COLOUR)
    share = alpha / 255
    expected = share * COLOUR + (1 - share) * np.array(under)
    np.testing.assert_allclose(levels(image, background=background), expected, atol=1)
    tensor = torch.from_numpy(pixels.transpose(2, 0, 1).copy())
    np.testing.assert_allclose(levels(tensor, background=background), expected, atol=0.51)
    np.testing.assert_allclose(levels(tensor / 255, background=background), expected, atol=1e-3)


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_channels_are_those_of_the_network_or_refused(channels):
    tensor = torch.rand(channels, 5, 6)
    taken = Preprocessing.from_config(Data(mean=[0.5] * channels, std=[0.5] * channels))
    assert torch.equal(taken.checked(as_image(tensor, Data()), 3), tensor)
    with pytest.raises(InputError, match=rf"image 3 has {channels} channels, .* input 3"):
        Preprocessing.from_config(Data()).checked(tensor, 3)
    with pytest.raises(InputError, match="image 3 has 1 channels"):
        taken.checked(Image.fromarray(RAMP), 3)


def test_photographs_are_turned_when_asked():
    exif = Image.Exif()
    exif[0x0112] = 6
    image = reopened(Image.fromarray(COLOUR), "png", exif=exif)
    assert np.array_equal(levels(image), COLOUR)
    assert np.array_equal(levels(image, exif_rotation=True), np.rot90(COLOUR, -1))


@pytest.mark.parametrize(
    "image, settings, sentence",
    [
        (None, {}, "it is None; expected a PIL image"),
        ("cat.png", {}, "it is a str"),
        (RAMP.astype(np.uint16) * 257, {"white": 4095}, r"65535, not .* to data\.white \(4095\)"),
        (COLOUR.astype(np.int64), {}, r"int64 from 0 to 255, whose scale is not known"),
        (Image.fromarray(RAMP.astype(np.int32)), {}, r"int32 from 0 to 255, .* set data\.white"),
        (np.full((4, 4, 3), np.nan), {}, "it holds NaN"),
        (np.zeros((4, 4, 3), complex), {}, "expected numbers"),
        (torch.zeros(1, 3, 9, 9), {}, r"shape \(1, 3, 9, 9\)"),
        (torch.zeros(3, 0, 9), {}, r"shape \(3, 0, 9\)"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_rightly_is_refused(image, settings, sentence):
    with pytest.raises(InputError, match=sentence):
        as_image(image, Data(**settings))
