"""What few hidden units do: sums over the images, and predictions of the largest alone."""

from __future__ import annotations

import numpy as np
import torch

from vinfo_mpi.analyses.hidden_units import Passes
from vinfo_mpi.networks import hidden, readout
from vinfo_mpi.networks.layouts import Tap
from vinfo_mpi.numerics.arrays import standard_error
from vinfo_mpi.numerics.lazy_neurons import LayerSums, calibration_error, keep_largest
from vinfo_mpi.results.schema_sparsity import (
    DEAD,
    FIRING_RATES,
    LAYERS,
    OF_LAYERS,
    TOP_ACCURACY,
    TOP_CALIBRATION,
    UNITS,
)


class LazyPasses(Passes):
    """Passes that show how lazy the hidden units are."""

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
