"""How many channels of each layer are left when those that are nearly equal are merged.

Network feature complexity by iterative feature merging: channels left, and accuracy, weights and
operations of the merged network, which is kept as a state dict.

mpirun -n 8 python -m vinfo_mpi.analyses.merging
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("merging", __doc__)

from functools import partial
from typing import Any

import numpy as np

from vinfo_mpi.analyses.merged_networks import MergedNetworks
from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.formulas import NUMBER
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.prefetch import AHEAD
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema_merging import (
    ACCURACY,
    ACCURACY_BEFORE,
    CHANNELS,
    MERGING_CHECKPOINTS,
    MERGING_LAYERS,
    OF_NETWORKS,
    THRESHOLDS,
    WIDTHS,
)
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run


def merge_features(run: Run, part: Part) -> None:
    """Write how many channels every layer has left, and what the merged networks are like."""
    run.subject.require_images("merging")
    checkpoints = run.checkpoints if run.config.merging.checkpoints == "all" else [run.final]
    channels = []
    measured = []
    for checkpoint in run.progress(checkpoints, "merging: checkpoints"):
        networks = MergedNetworks(run, checkpoint)
        labels = part.partial_results.get(f"{checkpoint.name}_labels", networks.labels)["labels"]
        run.safe_point()
        measure = partial(networks.measure, labels)
        measured.append(part.partial_results.get(checkpoint.name, measure))
        channels.append(_channels(networks, labels))
        run.safe_point()
    part.partial_results.log_reused("parts of checkpoints")
    datasets: dict[Dataset, Any] = {
        MERGING_CHECKPOINTS: [checkpoint.epoch for checkpoint in checkpoints],
        MERGING_LAYERS: [group.name for group in networks.groups],
        WIDTHS: networks.widths,
        THRESHOLDS: networks.thresholds,
        CHANNELS: np.stack(channels),
    }
    for dataset in (*OF_NETWORKS, ACCURACY_BEFORE.se, ACCURACY.se):
        datasets[dataset] = np.stack([of_epoch[dataset.column] for of_epoch in measured])
    _say(datasets)
    part.write(datasets)


def costs(work: Workload) -> Costs:
    """Return what Gram matrices of weights, and passes through the merged networks, take."""
    sizes = work.sizes
    options = work.config.merging
    thresholds = len(options.thresholds)
    checkpoints = sizes.checkpoints if options.checkpoints == "all" else 1
    widest = max([*sizes.widths.values(), *sizes.hidden.values()])
    images = 0 if work.config.data.source == "imported" else min(sizes.n, options.images)
    in_flight = formulas.images_in_flight(work, work.sizes.batch, AHEAD)
    # The network in single and double precision, and a layer's weights once more; four matrices
    # of all pairs of channels, and what compares them.
    merging = 6 * sizes.weights + 6 * NUMBER * widest**2
    # Merged networks with their state dicts, one of them in double precision as well.
    networks = (2 * thresholds + 8) * sizes.weights
    return Costs(
        memory=max(merging, networks + sizes.forward + in_flight),
        host=max(merging, networks + in_flight),
        operations=checkpoints * thresholds * float(images) * sizes.operations,
        sent=work.sent(checkpoints * thresholds if images else 0),
        disk={"merged": float(checkpoints * thresholds * sizes.weights)},
    )


def _channels(networks: MergedNetworks, labels: np.ndarray) -> np.ndarray:
    """Return the channels that are left: (thresholds, layers)."""
    return np.stack([of_layer.max(1) + 1 for of_layer in networks.split(labels)], 1)


def _say(datasets: dict[Dataset, Any]) -> None:
    shares = (datasets[CHANNELS][-1] / datasets[WIDTHS]).mean(1)
    after = [
        f"{share:.2f} (accuracy {accuracy:.3f}) at {threshold:g}"
        for share, accuracy, threshold in zip(
            shares, datasets[ACCURACY][-1], datasets[THRESHOLDS], strict=True
        )
    ]
    log.info("merging: share of channels left, mean over %d layers: %s; accuracy before: %.3f",
             len(datasets[WIDTHS]), ", ".join(after), datasets[ACCURACY_BEFORE][-1])  # fmt: skip
