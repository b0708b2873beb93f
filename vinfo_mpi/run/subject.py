"""Subject of the analysis: the images, and the network that sees them."""

from __future__ import annotations

import copy
import json
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vinfo_mpi.config.schema import Config
from vinfo_mpi.data import datasets
from vinfo_mpi.data.datasets import Images
from vinfo_mpi.data.loading import Loader, unreadable
from vinfo_mpi.data.preprocessing import Preprocessing
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.networks import architectures, readout, taps
from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.networks.layouts import Tap
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.run import image_list
from vinfo_mpi.storage.atomic import write_text


class Subject:
    """Images and network of a run; each is made when it is first asked for.

    Parameters
    ----------
    config : Config
    folder : Path
        Of the run: unreadable images are listed there.
    ranks : Ranks
    device : torch.device
        Where this rank computes.
    """

    def __init__(self, config: Config, folder: Path, ranks: Ranks, device: torch.device) -> None:
        self.config = config
        self.folder = folder
        self.ranks = ranks
        self.device = device

    @cached_property
    def images(self) -> Images:
        """The labelled images; those that the run has begun with."""
        images = datasets.load(self.config.data, self.config.seed)
        if self.ranks.is_root and self.folder.exists():
            image_list.check(self.folder, images, self.config.data)
        return images

    @cached_property
    def skipped(self) -> frozenset[int]:
        """Images that cannot be read, where they are to be skipped; listed in skipped.json."""
        if self.config.data.on_bad_image == "fail":
            return frozenset()
        path = self.folder / "skipped.json"
        expected = {
            "data": self.config.data.model_dump(include={"source", "root"}),
            "images": len(self.images.labels),
        }
        listed = self.ranks.on_root(lambda: json.loads(path.read_text()) if path.exists() else {})
        if {name: listed.get(name) for name in expected} != expected:
            listed = expected | {"skipped": self._look_for_unreadable()}
            self.ranks.on_root(write_text, path, json.dumps(listed, indent=1))
        return frozenset(index for index, _ in listed["skipped"])

    def _look_for_unreadable(self) -> list[tuple[int, str]]:
        """Return the ids that cannot be read, each with the reason, from the work of all ranks."""
        log.info("looking for images that cannot be read")
        of_rank = unreadable(self.images, self.ranks.block(len(self.images.labels)))
        bad = [pair for pairs in self.ranks.allgather(of_rank) for pair in pairs]
        for _, sentence in bad:
            log.info("skipped: %s", sentence)
        return bad

    @cached_property
    def ids(self) -> np.ndarray:
        """Ids of the analysed images, ascending: (N,) int64."""
        return self.images.analysed(self.config.data, self.config.seed, self.skipped)

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """Size and normalisation of the input."""
        return Preprocessing.from_config(
            self.config.data, architectures.own_preprocessing(self.config.network)
        )

    @property
    def promised_accuracy(self) -> float | None:
        """The share of ImageNet's validation images that the weights predict; None: not known."""
        return architectures.promised_accuracy(self.config.network)

    def say_input(self) -> None:
        """Log what is done to images before the network sees them, and what nobody has said."""
        log.info("input: %s", self.preprocessing)
        network = self.config.network
        brought = network.target or network.weights or network.checkpoints
        if brought and (defaults := self.preprocessing.defaults):
            log.info(
                "input: %s %s a default, which your network may not have been trained with; "
                "set what it was trained with",
                " and ".join(f"data.{name}" for name in defaults),
                "is" if len(defaults) == 1 else "are",
            )

    @cached_property
    def loader(self) -> Loader:
        """Loader of batches of images for the network."""
        return Loader(self.images, self.preprocessing, self.device, self.config.machine.workers)

    def rest(self) -> None:
        """End what reads images, once a stage has done with them."""
        if "loader" in vars(self):
            self.loader.rest()

    @cached_property
    def _blank(self) -> nn.Module | None:
        """The network without memory for its weights, None where that cannot be made.

        To copy it takes a tenth of the time of drawing weights that a checkpoint replaces.
        """
        if not architectures.is_small_variant(self.config.network):
            return None
        with torch.device("meta"):
            return architectures.build(self.config.network, len(self.images.classes))

    def network(self, checkpoint: Checkpoint | None = None) -> nn.Module:
        """Return the network on this rank's device, with a checkpoint's weights."""
        if checkpoint is not None and checkpoint.ours and self._blank is not None:
            network = copy.deepcopy(self._blank).to_empty(device="cpu")
        else:
            torch.manual_seed(self.config.seed)
            network = architectures.build(self.config.network, len(self.images.classes))
        readout.attach(network, self.config.network, self.images.classes)
        if checkpoint is not None:
            checkpoint.load_into(network)
        if self.config.network.channels_last:
            network = network.to(memory_format=torch.channels_last)
        return network.to(self.device)

    @property
    def has_images(self) -> bool:
        """Whether there are images to look at: of imported activations there are none."""
        return self.config.data.source != "imported"

    def require_images(self, what: str) -> None:
        """Raise `NotApplicable` for stages that look at images again, where there are no images."""
        if not self.has_images:
            raise NotApplicable(
                f"{what} needs the network and its images; of imported activations there are "
                "neither"
            )

    def tap(self, network: nn.Module, name: str) -> tuple[Tap, torch.Tensor]:
        """Return one of the network's taps by its name, and a blank image as the network takes."""
        weight = next(network.parameters())
        blank = weight.new_zeros(1, *self.preprocessing.shape)
        return taps.named(network, name, self.config.extract, blank), blank
