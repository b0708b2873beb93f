"""Some of the images, once more through the network: what its hidden units do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from vinfo_mpi.networks import hidden, readout
from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.networks.layouts import Tap
from vinfo_mpi.numerics.arrays import evenly_spaced, standard_error
from vinfo_mpi.numerics.lazy_neurons import LayerSums, calibration_error, keep_largest
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.results.schema_sparsity import (
    DEAD,
    FIRING_RATES,
    LAYERS,
    OF_LAYERS,
    TOP_ACCURACY,
    TOP_CALIBRATION,
    UNITS,
)
from vinfo_mpi.run.run import Run


class Passes:
    """Passes of some images, evenly spaced over those analysed, through a checkpoint's network.

    Batches are the same whatever the number of ranks, which take them in turn.
    """

    def __init__(self, run: Run, checkpoint: Checkpoint) -> None:
        self.run = run
        self.network = run.subject.network(checkpoint).requires_grad_(False)
        weight = next(self.network.parameters())
        blank = weight.new_zeros(1, *run.subject.preprocessing.shape)
        self.layers, self.units = hidden.find(self.network, run.config.extract, blank)
        ids = run.subject.ids
        chosen = ids[evenly_spaced(len(ids), run.config.sparsity.images)]
        blocks = batches(range(len(chosen)), run.config.machine.batch)
        self.batches = [
            chosen[block.start : block.stop]
            for number, block in enumerate(blocks)
            if number % run.ranks.size == run.ranks.rank
        ]

    def outputs(
        self, look: Callable[[Tap, torch.Tensor], torch.Tensor | None]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield outputs and labels of this rank's batches; `look` as in `hidden.read`."""
        extract = self.run.config.extract
        for images, _, labels in self.run.subject.loader.batches(self.batches):
            with self.run.clock.phase("network"):
                outputs = hidden.read(self.network, self.layers, images, extract, look)
            yield outputs, labels

    def summaries(self) -> dict[str, np.ndarray]:
        """Return what all ranks' images say of every layer, by the columns of the datasets."""
        sizes = [LayerSums.size(count) for count in self.units.values()]
        joined = torch.zeros(sum(sizes), dtype=torch.float64, device=self.run.device)
        layers = {
            name: LayerSums(part)
            for name, part in zip(self.units, joined.split(sizes), strict=True)
        }

        def look(layer: Tap, values: torch.Tensor) -> None:
            layers[layer.name].add(hidden.by_position(values, layer.axes))

        for _ in self.outputs(look):
            pass
        with self.run.clock.phase("communicate"):
            self.run.ranks.sum(joined)
        measured = [sums.summary() for sums in layers.values()]
        of_layers = {
            LAYERS.column: np.array([name.encode() for name in self.units]),
            UNITS.column: np.array([*self.units.values()]),
            DEAD.column: np.array([layer.dead for layer in measured]),
            FIRING_RATES.column: np.array([layer.rates for layer in measured]),
        }
        for dataset in OF_LAYERS:
            values = [(layer.mean[dataset.column], layer.error[dataset.column])
                      for layer in measured]  # fmt: skip
            of_layers[dataset.column], of_layers[dataset.se.column] = np.array(values).T
        return of_layers

    def with_largest(self, share: float) -> dict[str, np.ndarray]:
        """Return accuracy, its standard error and calibration, the largest units alone kept."""

        def look(layer: Tap, values: torch.Tensor) -> torch.Tensor:
            return keep_largest(values, share, layer.axes.index("C"))

        confidences = [np.empty(0)]
        right = [np.empty(0, bool)]
        for outputs, labels in self.outputs(look):
            prediction = readout.predictions(outputs, self.run.config.network).cpu()
            confidences.append(outputs.double().softmax(1).amax(1).cpu().numpy())
            right.append((prediction == labels).numpy())
        correct = self.run.ranks.concatenate(np.concatenate(right))
        confidence = self.run.ranks.concatenate(np.concatenate(confidences))
        return {
            TOP_ACCURACY.column: np.asarray(correct.mean()),
            TOP_ACCURACY.se.column: standard_error(correct),
            TOP_CALIBRATION.column: np.asarray(calibration_error(confidence, correct)),
        }
