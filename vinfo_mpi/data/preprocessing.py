"""From an image to the network's input: size, crop, interpolation, normalisation, and whose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, Resize, v2

from vinfo_mpi.config.schema import Data
from vinfo_mpi.errors import InputError

DEFAULT_SIZE = 32
DEFAULT_MEAN = 0.5
DEFAULT_STD = 0.5
# Floats may leave 0..1 by this much: resizing with a bicubic filter overshoots at edges.
OVERSHOOT = 0.1


@dataclass(frozen=True)
class Preprocessing:
    """Size and normalisation of a network's input.

    Attributes
    ----------
    size : pair of int
        Height and width of the input: the middle of the resized image.
    mean, std : list of float
        Per channel, subtracted and divided by.
    resize : int, or pair of int
        What the shorter side becomes, or height and width, whatever the proportions are.
    interpolation : str
        How images are resized, as torchvision calls it.
    normalised : bool
        Whether images come resized and normalised by this mean and std.
    origins : dict of str to str
        Where each of these comes from: set, default, or what the weights came with.
    unlike : str
        The network whose library makes something else of a picture; nobody where it is empty.
    """

    size: tuple[int, int]
    mean: list[float]
    std: list[float]
    resize: int | tuple[int, int]
    interpolation: str = "bilinear"
    normalised: bool = False
    origins: dict[str, str] = field(default_factory=dict, compare=False)
    unlike: str = ""

    @classmethod
    def from_config(cls, data: Data, own: Preprocessing | None = None) -> Preprocessing:
        """Return what the configuration says, completed by what the network's weights ask for.

        Raises
        ------
        InputError
            If mean and std do not go together, or are not known where they have to be; or if the
            weights ask for what cannot be said in these settings.
        """
        mean = data.mean or (own.mean if own else [DEFAULT_MEAN] * len(data.std or "RGB"))
        std = data.std or (own.std if own else [DEFAULT_STD] * len(mean))
        if len(mean) != len(std):
            raise InputError(
                "data.mean and data.std need a value for every channel each, "
                f"found {len(mean)} and {len(std)}"
            )
        if data.normalised and own is None and (data.mean is None or data.std is None):
            raise InputError(
                "data.normalised: set data.mean and data.std to what your data set subtracts and "
                "divides by, so that images can be shown"
            )
        settings = ("image_size", "resize", "interpolation", "mean", "std")
        if own and own.unlike and not data.normalised:
            _check_all_set(data, settings, own)
        unset = own.origins.get("weights", "the weights' own") if own else "default"
        origins = {name: unset if getattr(data, name) is None else "set" for name in settings}
        if data.resize is None and (data.crop is not None or data.image_size is not None):
            origins["resize"] = "set"
        size = _size(data, own)
        interpolation = data.interpolation or (own.interpolation if own else "bilinear")
        resize = _resize(data, own, size)
        return cls(size, mean, std, resize, interpolation, data.normalised, origins)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the network's input."""
        return (len(self.mean), *self.size)

    @property
    def defaults(self) -> list[str]:
        """The settings that nobody has given, of those without which nothing is right."""
        needed = ("image_size", "mean", "std")
        return [name for name in needed if self.origins.get(name) == "default"]

    def __str__(self) -> str:
        """Return the line of a log: what is done to images, and who says so."""
        if self.normalised:
            how = "as the data set gives them, normalised"
        else:
            interpolation = f"{self.interpolation} ({self._origin('interpolation')})"
            sides = f"shorter side to {self.resize}"
            if not isinstance(self.resize, int):
                sides = "both sides to {} × {}".format(*self.resize)
            how = f"{sides} ({self._origin('resize')}), {interpolation}, middle cut out"
        height, width = self.size
        pixels = f"{height} × {width} pixels ({self._origin('image_size')})"
        mean = f"mean {_numbers(self.mean)} ({self._origin('mean')})"
        return f"{pixels}: {how}; {mean}, std {_numbers(self.std)} ({self._origin('std')})"

    def _origin(self, name: str) -> str:
        return self.origins.get(name, "set")

    def resized(self) -> list[Any]:
        """Return the transform that resizes images, as a list; of none if they come resized."""
        if self.normalised:
            return []
        size = self.resize if isinstance(self.resize, int) else list(self.resize)
        # The first version of it, as in the transforms that weights come with: the second rounds
        # tensors of 8 bits otherwise.
        return [Resize(size, InterpolationMode(self.interpolation), antialias=True)]

    def of_picture(self, picture: Image.Image) -> torch.Tensor:
        """Return the network's input for one picture: (C, H, W)."""
        steps = [*self.coloured(), *self.resized(), v2.CenterCrop(self.size), v2.ToImage()]
        return self.normalise(v2.Compose(steps)(picture).as_subclass(torch.Tensor))

    def coloured(self) -> list[Any]:
        """Return the transform that gives images the network's channels, as a list."""
        known = {1: v2.Grayscale(1), 3: v2.RGB()}
        channels = len(self.mean)
        return [known[channels]] if channels in known else []

    def checked(self, image: Any, index: int) -> Any:
        """Return a PIL image as it is, else a tensor (C, H, W) with values that make sense.

        Raises
        ------
        InputError
            If it was normalised and should not have been, or the other way round.
        """
        if isinstance(image, Image.Image) and not self.normalised:
            self._check_channels(len(image.getbands()), index)
            return image
        values = v2.functional.to_image(image).as_subclass(torch.Tensor)
        if self.normalised:
            self._check_normalised(values, index)
            return values
        self._check_channels(len(values), index)
        if values.is_floating_point():
            low, high = values.aminmax()
            if low < -OVERSHOOT or high > 1 + OVERSHOOT:
                raise InputError(
                    f"image {index} has values from {low:.3g} to {high:.3g}, expected 0 to 1: if "
                    "your data set normalises, set data.normalised: true, with its data.mean and "
                    "data.std, or leave out its Normalize; if it scales otherwise, set data.white "
                    "to the value of white"
                )
        return values

    def _check_channels(self, channels: int, index: int) -> None:
        """Raise `InputError` for other channels than the network's; grey and RGB are converted."""
        if channels != len(self.mean) and {channels, len(self.mean)} != {1, 3}:
            raise InputError(
                f"image {index} has {channels} channels, but the network's input {len(self.mean)}: "
                "give data.mean and data.std as many values as the network has channels; "
                "data.background lays an image of 4 channels, the last of them alpha, over a colour"
            )

    def _check_normalised(self, values: torch.Tensor, index: int) -> None:
        if not values.is_floating_point():
            raise InputError(
                f"data.normalised is true, but image {index} is made of {values.dtype}; "
                "set it to false, or let your data set normalise"
            )
        if tuple(values.shape) != self.shape:
            raise InputError(
                f"data.normalised is true, but image {index} has shape {tuple(values.shape)} and "
                f"the network's input {self.shape}; set data.image_size to what your data set "
                "gives, and resize all images there"
            )

    def network_input(self, images: torch.Tensor) -> torch.Tensor:
        """Return the network's input for a batch of images as they are read, on their device."""
        return images.float() if self.normalised else self.normalise(images)

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Return images, 8-bit or float in [0, 1], minus the mean and divided by std."""
        values = images.float().div_(255) if images.dtype == torch.uint8 else images.float()
        return (values - _per_channel(self.mean, images)).div_(_per_channel(self.std, images))

    def denormalise(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return images in [0, 1] as people see them, from the network's input."""
        images = inputs * _per_channel(self.std, inputs) + _per_channel(self.mean, inputs)
        return images.clamp(0, 1)

    def shown(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return images of three channels in [0, 1], from the network's input.

        The first three of more, the last one repeated of fewer.
        """
        images = self.denormalise(inputs)
        channels = [min(channel, images.shape[1] - 1) for channel in range(3)]
        return images[:, channels]


def _check_all_set(data: Data, settings: Sequence[str], own: Preprocessing) -> None:
    """Raise `InputError` where preprocessing that cannot be said here would be filled in."""
    given = {name for name in (*settings, "crop") if getattr(data, name) is not None}
    missing = [f"data.{name}" for name in settings if name not in given]
    if "crop" in given:
        missing = [name for name in missing if name != "data.resize"]
    if missing:
        raise InputError(
            f"network.name: {own.unlike}'s library prepares pictures in a way that these settings "
            "cannot say (padded borders, another order of colours, ...): let your data set do it, "
            f"with data.normalised: true; or set {', '.join(missing)}, which comes close to it"
        )


def _size(data: Data, own: Preprocessing | None) -> tuple[int, int]:
    """Return height and width of the input."""
    size = data.image_size or (own.size if own else DEFAULT_SIZE)
    if isinstance(size, int):
        return size, size
    height, width = size
    return height, width


def _resize(data: Data, own: Preprocessing | None, size: tuple[int, int]) -> int | tuple[int, int]:
    """Return what images are resized to before the middle is cut out.

    Weights that are given another size keep the share that is cut out: 224 of 256.
    """
    if isinstance(data.resize, int):
        return data.resize
    height, width = data.resize or size
    if data.resize is not None:
        return height, width
    share = data.crop or 1.0
    if data.crop is None and own is not None:
        if size == own.size:
            return own.resize
        smaller = own.resize if isinstance(own.resize, int) else min(own.resize)
        share = min(own.size) / smaller
        if not isinstance(own.resize, int):
            return _enlarged(height, share), _enlarged(width, share)
    if height == width:
        return _enlarged(height, share)
    return _enlarged(height, share), _enlarged(width, share)


def _enlarged(side: int, share: float) -> int:
    """Return the side of which this is a share, rounded down as timm does."""
    return int(side / share + 1e-6)


def _numbers(values: Sequence[float]) -> str:
    """Return numbers of channels in words, one where they are the same."""
    texts = [f"{value:.4g}" for value in values]
    return texts[0] if len(set(texts)) == 1 else " ".join(texts)


def _per_channel(values: Sequence[float], images: torch.Tensor) -> torch.Tensor:
    """Return numbers of channels in the form that goes with images, on their device: (C, 1, 1)."""
    # So few bytes are in transfer at once that the device keeps working and nothing waits.
    return torch.tensor(values).to(images.device, non_blocking=True)[:, None, None]
