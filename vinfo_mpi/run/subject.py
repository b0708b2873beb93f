"""What is analysed: the images, and the network that looks at them."""

from __future__ import annotations

import json
from functools import cached_property

import numpy as np
import torch
from torch import nn

from vinfo_mpi.data import datasets
from vinfo_mpi.data.datasets import Images
from vinfo_mpi.data.loading import Loader, Preprocessing, unreadable
from vinfo_mpi.networks import architectures
from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.atomic import write_text


class Subject:
    """Images and network of a run; each is made when it is first asked for."""

    def __init__(self, run: Run) -> None:
        self.run, self.config, self.device = run, run.config, run.device

    @cached_property
    def images(self) -> Images:
        """The labelled images."""
        return datasets.load(self.config.data, self.config.seed)

    @cached_property
    def skipped(self) -> frozenset[int]:
        """Images that cannot be read, where the configuration says to skip them; listed in skipped.json."""
        if self.config.data.on_bad_image == "fail":
            return frozenset()
        path, count = self.run.folder / "skipped.json", len(self.images.labels)
        key = self.config.data.model_dump(include={"source", "root"})
        known = self.run.ranks.on_root(lambda: json.loads(path.read_text()) if path.exists() else {})
        if known.get("data") != key or known.get("images") != count:
            log.info("looking for images that cannot be read")
            mine = unreadable(self.images, self.run.ranks.block(count))
            bad = [one for part in self.run.ranks.gather(mine) for one in part]
            known = {"data": key, "images": count, "skipped": bad}
            self.run.ranks.on_root(write_text, path, json.dumps(known, indent=1))
            for _, sentence in bad:
                log.info("skipped: %s", sentence)
        return frozenset(index for index, _ in known["skipped"])

    @cached_property
    def ids(self) -> np.ndarray:
        """Ids of the analysed images, ascending: (N,) int64."""
        return self.images.analysed(self.config.data, self.config.seed, self.skipped)

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """Size and normalisation of the input."""
        return Preprocessing.of(self.config.data, architectures.own_transforms(self.config.network))

    @cached_property
    def loader(self) -> Loader:
        """What gives batches of images to the network."""
        return Loader(self.images, self.preprocessing, self.device, self.config.machine.workers)

    def network(self, checkpoint: Checkpoint | None = None) -> nn.Module:
        """Return the network on this rank's device, with a checkpoint's weights."""
        torch.manual_seed(self.config.seed)
        network = architectures.build(self.config.network, len(self.images.classes))
        if checkpoint is not None:
            checkpoint.load_into(network)
        return network.to(self.device)
