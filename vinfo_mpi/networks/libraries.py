"""Networks of timm, Hugging Face and open_clip, by name; weights from their caches or from files.

Nothing is downloaded: what the library has not got on this machine is told how to get.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from vinfo_mpi.config.schema import Network
from vinfo_mpi.data.preprocessing import Preprocessing
from vinfo_mpi.errors import InputError, choices

PRETRAINED = "pretrained"
# What is imported for a prefix of network.name, and what is installed.
PACKAGES = {
    "timm": ("timm", "timm"),
    "hf": ("transformers", "transformers"),
    "open_clip": ("open_clip", "open_clip_torch"),
}
FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # by Pillow's numbers


def split(network: Network) -> tuple[str, str] | None:
    """Return library and name of a network such as timm/resnet50, None for torchvision's."""
    library, slash, name = str(network.name).partition("/")
    return (library, name) if slash and library in PACKAGES else None


def brings_weights(network: Network) -> bool:
    """Whether the library has the weights: else they are in a file, or there are none."""
    parts = split(network)
    if parts is None:
        return False
    if parts[0] == "hf":
        return network.weights in (None, PRETRAINED)
    return network.weights is not None and not Path(network.weights).expanduser().exists()


def build(network: Network, outputs: int | None) -> nn.Module:
    """Return a library's network, with the weights that the library has, if these are asked for.

    Parameters
    ----------
    network : Network
    outputs : int, or None
        How many it is to have where weights are not the library's; None: as many as usual.

    Raises
    ------
    InputError
        If library, network or weights are not on this machine.
    """
    library, name = split(network) or ("", "")
    try:
        return BUILDERS[library](_package(library), name, network, outputs)
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"network.name: {network.name} cannot be made from what is on this machine "
            f"({type(error).__name__}: {reason}); fetch it with {PACKAGES[library][0]} where there "
            "is a network, or give network.weights a file"
        ) from None


def own_preprocessing(network: Network) -> Preprocessing | None:
    """Return what a library says that its weights ask for, None where they are none of its own."""
    library, name = split(network) or ("", "")
    if library == "hf":
        return _of_hugging_face(_package(library), name)
    if library == "timm" and brings_weights(network):
        return _of_timm(_package(library), name)
    if library == "open_clip" and brings_weights(network):
        return _of_open_clip(_package(library), name, str(network.weights))
    return None


def _package(library: str) -> ModuleType:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when the library is imported
    imported, installed = PACKAGES[library]
    try:
        return importlib.import_module(imported)
    except ImportError as error:
        raise InputError(
            f"network.name: {library}/... needs a package that is not there ({error}); "
            f"pip install {installed}"
        ) from None


def _timm(timm: Any, name: str, network: Network, outputs: int | None) -> nn.Module:
    names = timm.list_models()
    if name.partition(".")[0] not in names:
        raise InputError(f"network.name: timm has no model '{name}'; {choices(name, names)}")
    if brings_weights(network):
        _only_pretrained(network)
        return timm.create_model(name, pretrained=True)
    options = {} if outputs is None else {"num_classes": outputs}
    return timm.create_model(name, pretrained=False, **options)


def _hugging_face(transformers: Any, name: str, network: Network, outputs: int | None) -> nn.Module:
    config = transformers.AutoConfig.from_pretrained(_place(name), local_files_only=True)
    kinds = config.architectures or []
    classifies = any(kind.endswith("ForImageClassification") for kind in kinds)
    kind = transformers.AutoModelForImageClassification if classifies else transformers.AutoModel
    if brings_weights(network):
        return kind.from_pretrained(_place(name), local_files_only=True)
    return kind.from_config(config)


def _open_clip(open_clip: Any, name: str, network: Network, outputs: int | None) -> nn.Module:
    names = open_clip.list_models()
    if name not in names:
        raise InputError(f"network.name: open_clip has no model '{name}'; {choices(name, names)}")
    tag = network.weights if brings_weights(network) else None
    return open_clip.create_model(name, pretrained=tag).visual


def _only_pretrained(network: Network) -> None:
    if network.weights != PRETRAINED:
        raise InputError(
            f"network.weights: {network.weights} is no file; timm's own are called pretrained"
        )


def _of_timm(timm: Any, name: str) -> Preprocessing:
    config = timm.data.resolve_data_config(
        {}, pretrained_cfg=timm.get_pretrained_cfg(name).to_dict()
    )
    _, height, width = config["input_size"]
    larger = (int(height / config["crop_pct"]), int(width / config["crop_pct"]))
    square = height == width and config.get("crop_mode", "center") != "squash"
    return Preprocessing(
        (height, width),
        list(config["mean"]),
        list(config["std"]),
        larger[0] if square else larger,
        config["interpolation"],
        origins={"weights": "of timm's data config"},
    )


def _of_hugging_face(transformers: Any, name: str) -> Preprocessing | None:
    try:
        config, _ = transformers.ImageProcessingMixin.get_image_processor_dict(
            _place(name), local_files_only=True
        )
    except OSError:
        return None
    size = _sides(config.get("size", 224))
    crop = _sides(config.get("crop_size")) if config.get("do_center_crop") else None
    resize: int | tuple[int, int] | None = size
    if isinstance(size, int) and "crop_pct" in config:  # ConvNeXt: small images are cut from larger
        crop = (size, size)
        resize = int(size / config["crop_pct"]) if size < 384 else crop
    if crop is None:
        crop = (size, size) if isinstance(size, int) else size
    crop = (crop, crop) if isinstance(crop, int) else crop
    normalises = config.get("do_normalize", True)
    return Preprocessing(
        crop or (224, 224),
        list(config["image_mean"]) if normalises else [0.0] * 3,
        list(config["image_std"]) if normalises else [1.0] * 3,
        resize or 224,
        FILTERS.get(config.get("resample", 2), "bilinear"),
        origins={"weights": "of preprocessor_config.json"},
    )


def _sides(size: Mapping[str, int] | int | None) -> int | tuple[int, int] | None:
    """Return the shorter side, or height and width, of what Hugging Face calls a size."""
    if not isinstance(size, Mapping):
        return None if size is None else (size, size)
    if "shortest_edge" in size:
        return size["shortest_edge"]
    return size["height"], size["width"]


def _of_open_clip(open_clip: Any, name: str, tag: str) -> Preprocessing:
    size = open_clip.get_model_config(name)["vision_cfg"]["image_size"]
    config = open_clip.get_pretrained_cfg(name, tag)
    height, width = (size, size) if isinstance(size, int) else size
    shorter = height == width and config.get("resize_mode", "shortest") == "shortest"
    return Preprocessing(
        (height, width),
        list(config.get("mean", open_clip.OPENAI_DATASET_MEAN)),
        list(config.get("std", open_clip.OPENAI_DATASET_STD)),
        height if shorter else (height, width),
        config.get("interpolation", "bicubic"),
        origins={"weights": f"of open_clip's {tag}"},
    )


def _place(name: str) -> str:
    """Return a folder, or the name under which the library's cache knows it."""
    return str(Path(name).expanduser()) if Path(name).expanduser().exists() else name


BUILDERS: dict[str, Callable[[Any, str, Network, int | None], nn.Module]] = {
    "timm": _timm,
    "hf": _hugging_face,
    "open_clip": _open_clip,
}
