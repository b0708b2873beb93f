"""Models of open_clip, which embed images and words together, from what is on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vinfo_mpi.data.preprocessing import Preprocessing
from vinfo_mpi.errors import InputError, choices, in_one_line
from vinfo_mpi.networks.libraries import package
from vinfo_mpi.networks.library_inputs import alike, of_open_clip

WORDS = 256  # that are embedded at once


@dataclass
class ImageText:
    """A model with its tokenizer, and what it wants done to images.

    Attributes
    ----------
    model : nn.Module
        On the device that computes.
    tokenizer : function
        Of a list of str.
    preprocessing : Preprocessing
    """

    model: Any
    tokenizer: Any
    preprocessing: Preprocessing

    @torch.no_grad()
    def of_words(self, words: Sequence[str]) -> torch.Tensor:
        """Return the embeddings of words, of any length: (W, e)."""
        device = next(self.model.parameters()).device
        blocks = [list(words[start : start + WORDS]) for start in range(0, len(words), WORDS)]
        return torch.cat([self.model.encode_text(self.tokenizer(b).to(device)) for b in blocks])

    @torch.no_grad()
    def of_images(self, images: torch.Tensor) -> torch.Tensor:
        """Return the embeddings of images that are preprocessed: (B, 3, H, W) to (B, e)."""
        return self.model.encode_image(images)


def load(name: str, weights: str | None, device: torch.device) -> ImageText:
    """Return a model of open_clip.

    Parameters
    ----------
    name : str
        As open_clip knows it, or a folder with open_clip_config.json and weights.
    weights : str, or None
        A file or a tag; None for a folder.

    Raises
    ------
    InputError
        If open_clip, the model or its weights are not on this machine, or if what the model wants
        done to images cannot be said in this program's settings.
    """
    open_clip = package("open_clip", "names.open_clip")
    folder = Path(name).expanduser()
    place = f"local-dir:{folder}" if folder.is_dir() else name
    names = open_clip.list_models()
    if not folder.is_dir() and name not in names:
        raise InputError(
            f"names.open_clip: {name} is not a folder, and open_clip has no model of this name; "
            f"{choices(name, names)}"
        )
    if not folder.is_dir() and weights is None:
        raise InputError(
            f"names.open_clip: {name} has no weights; set names.open_clip_weights "
            "to their file, or to a tag of open_clip that is on this machine"
        )
    file = None if weights is None else str(Path(weights).expanduser())
    try:
        tokenizer = open_clip.get_tokenizer(place)
        model = open_clip.create_model(place, pretrained=file, require_pretrained=True)
    except Exception as error:  # whatever the library raises
        raise InputError(
            f"names.open_clip: {name} cannot be made from what is on this machine "
            f"({type(error).__name__}: {in_one_line(error)}); set names.open_clip_weights to a "
            "file of its weights, or give a folder that has them"
        ) from None
    return ImageText(_ready(model, device), tokenizer, _preprocessing(open_clip, model, name))


def _ready(model: nn.Module, device: torch.device) -> nn.Module:
    return model.eval().requires_grad_(False).to(device)


def _preprocessing(open_clip: Any, model: Any, name: str) -> Preprocessing:
    """Return what the model wants done to images, which is compared with open_clip's own."""
    known = open_clip.transform.PreprocessCfg(**model.visual.preprocess_cfg)
    own = of_open_clip(known, f"of open_clip's {name}")
    if not alike(own, open_clip.transform.image_transform_v2(known, is_train=False)):
        raise InputError(
            f"names.open_clip: how {name} wants images prepared ({known}) cannot be expressed "
            "by our settings; embed them yourself: names.words, names.images"
        )
    return own
