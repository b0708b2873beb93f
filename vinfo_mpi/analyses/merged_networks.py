"""A checkpoint's network and what is left of it when channels are merged: size, accuracy, file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.networks import channel_groups, checkpoints, folded, precision, readout, slimmer
from vinfo_mpi.networks.channel_groups import Group
from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.numerics import merging
from vinfo_mpi.numerics.arrays import error_of_share, evenly_spaced
from vinfo_mpi.numerics.merging import Merges
from vinfo_mpi.parallel.partition import in_turn
from vinfo_mpi.results.schema_merging import (
    ACCURACY,
    ACCURACY_BEFORE,
    OPERATIONS,
    OPERATIONS_BEFORE,
    PARAMETERS,
    PARAMETERS_BEFORE,
)
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.atomic import write_bytes


class MergedNetworks:
    """The networks of a checkpoint that are left at every threshold.

    Parameters
    ----------
    run : Run
    checkpoint : Checkpoint

    Attributes
    ----------
    groups : list of Group
        The channels that can be merged: its layers, in forward order.

    Raises
    ------
    NotApplicable
        If the network cannot be traced, or none of its channels can be merged.
    """

    def __init__(self, run: Run, checkpoint: Checkpoint) -> None:
        self.run = run
        self.checkpoint = checkpoint
        self.thresholds = run.config.merging.thresholds
        self.network = run.subject.network(checkpoint).eval().cpu()
        self.folded = folded.fold(self.network)
        self.blank = torch.zeros(1, *run.subject.preprocessing.shape)
        self.groups = channel_groups.find(self.folded, self.blank.double())
        if not self.groups:
            raise NotApplicable(
                f"merging finds no channels of {type(self.network).__name__} that it can merge: "
                "each meets an operation that may mix channels"
            )

    @property
    def widths(self) -> list[int]:
        """Channels of every layer."""
        return [group.width for group in self.groups]

    def labels(self) -> dict[str, np.ndarray]:
        """Return the merged channel of every channel, at every threshold; ranks share the layers.

        Returns
        -------
        dict
            ``labels``, (thresholds, channels) int64: those of all layers one after the other.
        """
        # The widest first, so that no rank is left with more than the others.
        order = sorted(range(len(self.groups)), key=lambda layer: (-self.widths[layer], layer))
        of_rank = {}
        with self.run.clock.phase("merge"):
            for layer in order[self.run.ranks.rank :: self.run.ranks.size]:
                of_rank[layer] = self._labels_of(self.groups[layer])
        of_layers = self.run.ranks.union(of_rank)
        joined = [of_layers[layer] for layer in range(len(self.groups))]
        return {"labels": np.concatenate(joined, 1)}

    def _labels_of(self, group: Group) -> np.ndarray:
        added = self.run.config.merging.distance == "sums"
        merges: Merges = merging.merge(*channel_groups.grams(self.folded, group), added)
        return np.stack([merges.labels(threshold) for threshold in self.thresholds])

    def split(self, labels: np.ndarray) -> list[np.ndarray]:
        """Return what lies along the axis of all channels, by layer."""
        return np.split(labels, np.cumsum(self.widths)[:-1], -1)

    def measure(self, labels: np.ndarray) -> dict[str, np.ndarray]:
        """Write the merged networks and return what they are like, by the datasets' columns."""
        unmerged = [np.arange(width) for width in self.widths]
        before = slimmer.load(self.network, slimmer.merged(self.folded, self.groups, unmerged))
        networks = []
        for threshold, of_threshold in zip(self.thresholds, labels, strict=True):
            state = slimmer.merged(self.folded, self.groups, self.split(of_threshold))
            self.run.ranks.on_root(partial(self._write, threshold, state))
            networks.append(slimmer.load(self.network, state))
        measured = {
            PARAMETERS_BEFORE.column: np.asarray(_parameters(before)),
            PARAMETERS.column: np.array([_parameters(each) for each in networks]),
            OPERATIONS_BEFORE.column: np.asarray(self._operations(before)),
            OPERATIONS.column: np.array([self._operations(each) for each in networks]),
        }
        return measured | self._accuracies(networks)

    def _write(self, threshold: float, state: dict[str, torch.Tensor]) -> None:
        name = f"{self.checkpoint.name}_{threshold:g}.pt"
        write_bytes(self.run.folder / "merging" / name, checkpoints.as_bytes(state))

    def _operations(self, network: nn.Module) -> int:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(self.blank)
        return counter.get_total_flops()

    def _accuracies(self, networks: Sequence[nn.Module]) -> dict[str, np.ndarray]:
        """Return accuracies with their errors; every image is read once for all networks."""
        run = self.run
        with run.open_activations(self.checkpoint) as activations:
            ids = activations.read("samples/id")
            right = activations.read("samples/label") == activations.read("samples/prediction")
            known = activations.labelled and run.config.network.classifies
        chosen = evenly_spaced(len(ids), run.config.merging.images)
        before = np.asarray(right[chosen].mean() if known else np.nan)
        correct = torch.zeros(len(networks), dtype=torch.float64, device=run.device)
        if known:
            for network in networks:
                network.to(run.device)
            batch = run.batch
            blocks = in_turn(len(chosen), batch, run.ranks.size, run.ranks.rank)
            parts = [ids[chosen[block.start : block.stop]] for block in blocks]
            for images, _, labels in run.subject.loader.batches(parts):
                with run.clock.phase("network"):
                    correct += self._correct(networks, images, labels)
            with run.clock.phase("communicate"):
                run.ranks.sum(correct)
        after = correct.cpu().numpy() / len(chosen) if known else np.full(len(networks), np.nan)
        return {
            ACCURACY_BEFORE.column: before,
            ACCURACY_BEFORE.se.column: error_of_share(before, len(chosen)),
            ACCURACY.column: after,
            ACCURACY.se.column: error_of_share(after, len(chosen)),
        }

    def _correct(
        self, networks: Sequence[nn.Module], images: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Return how many images every network classifies as their label: (networks,)."""
        config = self.run.config
        labels = labels.to(images.device)
        counts = []
        with torch.no_grad(), precision.computing(config.extract.precision, images.device):
            for network in networks:
                predicted = readout.predictions(network(images).float(), config.network)
                counts.append((predicted == labels).sum())
        return torch.stack(counts)


def _parameters(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())
