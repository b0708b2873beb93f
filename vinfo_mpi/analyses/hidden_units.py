"""Some of the images, once more through the network, for what its hidden units do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from vinfo_mpi.networks import hidden
from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.networks.layouts import Tap
from vinfo_mpi.numerics.arrays import evenly_spaced
from vinfo_mpi.parallel.partition import in_turn
from vinfo_mpi.run.run import Run


class Passes:
    """Passes of some images, evenly spaced over those analysed, through a checkpoint's network.

    Batches are the same whatever the number of ranks, which take them in turn.

    Parameters
    ----------
    run : Run
    checkpoint : Checkpoint
    images : int
        How many, at most.

    Attributes
    ----------
    layers : list of Tap
    units : dict of str to int
        Channels of each layer.
    images : int
        How many there are.
    blocks : list of range
        Of this rank's batches, which of the images these are.
    """

    def __init__(self, run: Run, checkpoint: Checkpoint, images: int) -> None:
        self.run = run
        self.network = run.subject.network(checkpoint).requires_grad_(False)
        weight = next(self.network.parameters())
        self.blank = weight.new_zeros(1, *run.subject.preprocessing.shape)
        self.layers, self.units = hidden.find(self.network, run.config.extract, self.blank)
        ids = run.subject.ids
        chosen = ids[evenly_spaced(len(ids), images)]
        self.images = len(chosen)
        batch = run.batch
        self.blocks = in_turn(self.images, batch, run.ranks.size, run.ranks.rank)
        self.batches = [chosen[block.start : block.stop] for block in self.blocks]

    def outputs(
        self, look: Callable[[Tap, torch.Tensor], torch.Tensor | None]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield outputs and labels of this rank's batches; `look` as in `hidden.read`."""
        extract = self.run.config.extract
        for images, _, labels in self.run.subject.loader.batches(self.batches):
            with self.run.clock.phase("network"):
                outputs = hidden.read(self.network, self.layers, images, extract, look)
            yield outputs, labels
