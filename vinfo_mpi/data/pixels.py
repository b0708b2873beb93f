"""Images as people have them, brought to 8 bits or to floats from 0 to 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image, ImageColor, ImageOps

from vinfo_mpi.config.schema import Data
from vinfo_mpi.data.preprocessing import OVERSHOOT
from vinfo_mpi.errors import InputError

CHANNELS = (1, 3, 4)  # grey, colour, colour with alpha: of arrays whose axes are to be told apart


def as_image(image: Any, data: Data) -> Image.Image | torch.Tensor:
    """Return an image that the loader can take: of 8 bits, or a tensor (C, H, W).

    Parameters
    ----------
    image : PIL image, array or tensor
        Arrays are (H, W) or (H, W, C), tensors (H, W) or (C, H, W), or the other way round where
        the sizes leave no doubt.
    data : Data
        Says what is white, what lies under transparent pixels, and whether photographs are turned.

    Returns
    -------
    PIL image in mode RGB or L, or (C, H, W) tensor
        uint8; or float32 where the values are floats or data.white is given: 0 black, 1 white,
        unless the data set normalises.

    Raises
    ------
    InputError
        For anything but an image, or values of unknown scale; without naming the image.
    """
    if isinstance(image, Image.Image):
        return _of_pil(image, data)
    if isinstance(image, torch.Tensor):
        values = _channels_first(image.detach().cpu(), first=True)
        # NumPy has no bfloat16.
        values = values.float() if values.dtype == torch.bfloat16 else values
        return _without_alpha(_scaled(values.numpy(), data), data)
    if isinstance(image, np.ndarray):
        values = _channels_first(torch.from_numpy(_plain(image)), first=False)
        return _without_alpha(_scaled(values.numpy(), data), data)
    raise InputError(
        f"it is {_described(image)}; expected a PIL image, a (C, H, W) tensor or a (H, W, C) array"
    )


def _of_pil(image: Image.Image, data: Data) -> Image.Image | torch.Tensor:
    if data.exif_rotation:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        return _scaled(_plain(np.asarray(image))[None], data)
    if data.background is not None and image.has_transparency_data:
        image = image.convert("RGBA")
        under = Image.new("RGBA", image.size, (*ImageColor.getrgb(data.background)[:3], 255))
        image = Image.alpha_composite(under, image)
    return image if image.mode == "L" else image.convert("RGB")


def _plain(array: np.ndarray) -> np.ndarray:
    """Return an array in this machine's byte order, which torch can take."""
    array = np.array(array, array.dtype.newbyteorder("="), order="C")
    if array.dtype.kind not in "buif":
        raise InputError(f"it is {_described(array)}; expected numbers")
    return array


def _channels_first(values: torch.Tensor, first: bool) -> torch.Tensor:
    """Return (C, H, W) values; `first`: where the channels are expected."""
    if values.ndim == 2:
        return values[None]
    if values.ndim != 3 or 0 in values.shape:
        raise InputError(
            f"it has shape {tuple(values.shape)}; expected (H, W), "
            f"{'(C, H, W)' if first else '(H, W, C)'}"
        )
    at_first = values.shape[0] in CHANNELS
    at_last = values.shape[2] in CHANNELS
    if at_first != at_last:
        first = at_first
    return values if first else values.permute(2, 0, 1).contiguous()


def _scaled(values: np.ndarray, data: Data) -> torch.Tensor:
    """Return values of any type as uint8, or as floats of which 0 is black and 1 is white."""
    if values.dtype == np.uint8:
        return torch.from_numpy(np.ascontiguousarray(values))
    if values.dtype == bool:
        return torch.from_numpy(values.astype(np.uint8) * 255)
    floats = values.dtype.kind == "f"
    if data.white is not None or floats:
        scaled = values.astype(np.float32) / np.float32(data.white or 1)
        return torch.from_numpy(_within_range(scaled, values, data))
    if values.dtype == np.uint16:
        return torch.from_numpy((values >> 8).astype(np.uint8))
    raise InputError(
        f"its values are {values.dtype} from {values.min()} to {values.max()}, whose scale is not "
        "known; set data.white to the value that is white, or return uint8"
    )


def _within_range(scaled: np.ndarray, values: np.ndarray, data: Data) -> np.ndarray:
    if not np.isfinite(scaled).all():
        raise InputError("it holds NaN or infinity")
    # Without data.white whoever resizes and normalises looks at the range.
    if data.white and (scaled.min() < -OVERSHOOT or scaled.max() > 1 + OVERSHOOT):
        raise InputError(
            f"its values are {values.dtype} from {values.min():g} to {values.max():g}, not from 0 "
            f"to data.white ({data.white:g})"
        )
    return scaled


def _without_alpha(values: torch.Tensor, data: Data) -> torch.Tensor:
    """Return values of four channels over the background, if there is any; others as they are."""
    if len(values) != 4 or data.background is None:
        return values
    white = 255 if values.dtype == torch.uint8 else 1
    under = torch.tensor(ImageColor.getrgb(data.background)[:3])[:, None, None] * (white / 255)
    alpha = values[3:] / white
    over = values[:3] * alpha + under * (1 - alpha)
    return over.round().byte() if values.dtype == torch.uint8 else over


def _described(image: Any) -> str:
    """Return what something is, in a few words."""
    if image is None:
        return "None"
    shape = getattr(image, "shape", None)
    return f"a {type(image).__name__}" + (f" of shape {tuple(shape)}" if shape is not None else "")
