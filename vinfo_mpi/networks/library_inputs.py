"""Preprocessing of other libraries' networks, expressed in this program's settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from vinfo_mpi.config.schema import Network
from vinfo_mpi.data.preprocessing import Preprocessing
from vinfo_mpi.networks.libraries import brings_weights, package, place, split

FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # by Pillow's numbers
# Of the spread of a picture's values: rounding to 8 bits is 0.003, another filter 0.1.
DIFFERENCE = 0.02


def own_preprocessing(network: Network) -> Preprocessing | None:
    """Return what a library says that its weights ask for, None for weights that are not its own.

    It is compared with the library's own transform: padded borders, channels in another order and
    whatever else libraries do cannot be said in these settings.
    """
    library, name = split(network) or ("", "")
    if library == "hf":
        own, transform = _of_hugging_face(package(library), name)
    elif library == "timm" and brings_weights(network):
        own, transform = _of_timm(package(library), name)
    elif library == "open_clip" and brings_weights(network):
        own, transform = _of_open_clip(package(library), name, str(network.weights))
    else:
        return None
    if own is None or alike(own, transform):
        return own
    return replace(own, unlike=str(network.name))


def alike(own: Preprocessing, transform: Callable[[Image.Image], Any]) -> bool:
    """Whether a library makes the same of a picture as these settings do."""
    noise = np.random.default_rng(0).integers(0, 256, (44, 54, 3), np.uint8)
    picture = Image.fromarray(noise).resize((324, 264), Image.Resampling.BICUBIC)
    try:
        expected = transform(picture)
    except Exception:
        return False  # whatever it wants, it is not a picture
    result = own.of_picture(picture)
    if not isinstance(expected, torch.Tensor) or result.shape != expected.shape:
        return False
    difference = (result - expected).square().mean().sqrt()
    return bool(difference < DIFFERENCE * expected.std())


def _of_timm(timm: Any, name: str) -> tuple[Preprocessing, Callable]:
    config = timm.data.resolve_data_config(
        {}, pretrained_cfg=timm.get_pretrained_cfg(name).to_dict()
    )
    _, height, width = config["input_size"]
    larger = (int(height / config["crop_pct"]), int(width / config["crop_pct"]))
    square = height == width and config.get("crop_mode", "center") != "squash"
    own = Preprocessing(
        (height, width),
        list(config["mean"]),
        list(config["std"]),
        larger[0] if square else larger,
        config["interpolation"],
        origins={"weights": "of timm's data config"},
    )
    return own, timm.data.create_transform(**config)


def _of_hugging_face(transformers: Any, name: str) -> tuple[Preprocessing | None, Callable]:
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(
            place(name), local_files_only=True
        )
    except OSError:
        return None, _untouched
    config = processor.to_dict()
    size = _sides(config.get("size") or 224)
    crop = _sides(config.get("crop_size")) if config.get("do_center_crop") else None
    resize: int | tuple[int, int] | None = size
    if isinstance(size, int) and "crop_pct" in config:  # ConvNeXt: small images are cut from larger
        crop = (size, size)
        resize = int(size / config["crop_pct"]) if size < 384 else crop
    if crop is None:
        crop = (size, size) if isinstance(size, int) else size
    crop = (crop, crop) if isinstance(crop, int) else crop
    normalises = config.get("do_normalize", True)
    own = Preprocessing(
        crop or (224, 224),
        list(config["image_mean"]) if normalises else [0.0] * 3,
        list(config["image_std"]) if normalises else [1.0] * 3,
        resize or 224,
        FILTERS.get(config.get("resample", 2), "bilinear"),
        origins={"weights": "of preprocessor_config.json"},
    )
    return own, lambda picture: processor(picture, return_tensors="pt")["pixel_values"][0]


def _untouched(picture: Image.Image) -> Image.Image:
    return picture


def _sides(size: Mapping[str, int] | int | None) -> int | tuple[int, int] | None:
    """Return the shorter side, or height and width, of what Hugging Face calls a size."""
    if not isinstance(size, Mapping):
        return None if size is None else (size, size)
    if size.get("shortest_edge"):
        return size["shortest_edge"]
    return size.get("height", 224), size.get("width", 224)


def _of_open_clip(open_clip: Any, name: str, tag: str) -> tuple[Preprocessing, Callable]:
    size = open_clip.get_model_config(name)["vision_cfg"]["image_size"]
    config = open_clip.get_pretrained_cfg(name, tag)
    asked = open_clip.transform.merge_preprocess_dict({"size": size}, config)
    known = open_clip.transform.PreprocessCfg(**asked)
    transform = open_clip.transform.image_transform_v2(known, is_train=False)
    return of_open_clip(known, f"of open_clip's {tag}"), transform


def of_open_clip(known: Any, origin: str) -> Preprocessing:
    """Return what an open_clip `PreprocessCfg` asks for; `origin` says where it comes from."""
    height, width = known.input_size[1:]
    shorter = height == width and known.resize_mode == "shortest"
    return Preprocessing(
        (height, width),
        list(known.mean),
        list(known.std),
        height if shorter else (height, width),
        known.interpolation,
        origins={"weights": origin},
    )
