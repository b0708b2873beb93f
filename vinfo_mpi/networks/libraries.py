"""Networks of timm, Hugging Face and open_clip, by name; weights from their caches or from files.

Nothing is downloaded: what the library has not got on this machine is told how to get.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from vinfo_mpi.config.schema import Network
from vinfo_mpi.errors import InputError, choices, in_one_line

PRETRAINED = "pretrained"
CONFIG = "config.json"  # by which Hugging Face's folders are known
MODEL_FILES = {".json", ".safetensors", ".bin"}
# What is imported for a prefix of network.name, and what is installed.
PACKAGES = {
    "timm": ("timm", "timm"),
    "hf": ("transformers", "transformers"),
    "open_clip": ("open_clip", "open_clip_torch"),
}


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
        return BUILDERS[library](package(library), name, network, outputs)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"network.name: {network.name} cannot be made from what is on this machine "
            f"({type(error).__name__}: {in_one_line(error)}); fetch it with {PACKAGES[library][0]} "
            "on a machine with internet access, or give network.weights a file"
        ) from None


def package(library: str, setting: str = "network.name") -> ModuleType:
    """Return a library; raise `InputError`, which names the setting, where it is not installed."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when the library is imported
    imported, installed = PACKAGES[library]
    try:
        return importlib.import_module(imported)
    except ImportError as error:
        raise InputError(
            f"{setting}: {library} needs a package that is not there ({error}); "
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
    config = transformers.AutoConfig.from_pretrained(place(name), local_files_only=True)
    kinds = config.architectures or []
    classifies = any(kind.endswith("ForImageClassification") for kind in kinds)
    kind = transformers.AutoModelForImageClassification if classifies else transformers.AutoModel
    if brings_weights(network):
        return kind.from_pretrained(place(name), local_files_only=True)
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
            f"network.weights: {network.weights} is not a file; timm's own weights are "
            f"called {PRETRAINED}"
        )


def files(network: Network) -> list[Path]:
    """Return the files that a network of Hugging Face's is made from; none of any other's.

    Its weights, its configuration, and what is done to images before it sees them.
    """
    library, name = split(network) or ("", "")
    if library != "hf":
        return []
    folder = Path(name).expanduser()
    if not folder.is_dir():
        try:
            hub = importlib.import_module("huggingface_hub")
            cached = hub.try_to_load_from_cache(name, CONFIG)
        except (ImportError, ValueError):
            cached = None
        if not isinstance(cached, str):
            return []  # whoever builds the network says what is missing
        folder = Path(cached).parent
    return sorted(path for path in folder.iterdir() if path.suffix in MODEL_FILES)


def place(name: str) -> str:
    """Return a folder, or the name under which the library's cache knows it."""
    return str(Path(name).expanduser()) if Path(name).expanduser().exists() else name


BUILDERS: dict[str, Callable[[Any, str, Network, int | None], nn.Module]] = {
    "timm": _timm,
    "hf": _hugging_face,
    "open_clip": _open_clip,
}
