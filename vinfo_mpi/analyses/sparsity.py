"""Share of the activations, and of the hidden units, that are not zero: how lazy neurons are.

At every tap, from what is stored; in every layer of hidden units, from some of the images, which go
through the network of every checkpoint once more.

mpirun -n 8 python -m vinfo_mpi.analyses.sparsity
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("sparsity", __doc__)

from functools import partial
from typing import Any

import numpy as np
import torch

from vinfo_mpi.analyses.lazy_passes import LazyPasses
from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.formulas import NUMBER
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.numerics.lazy_neurons import POSITIONS, QUANTILES, LayerSums
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.prefetch import AHEAD
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema_sparsity import (
    DEAD,
    FIRING_RATES,
    LAYERS,
    NONZERO,
    OF_LAYERS,
    POSITIVE,
    RATE_QUANTILES,
    SPARSITY_CHECKPOINTS,
    SPARSITY_TAPS,
    TOP_ACCURACY,
    TOP_CALIBRATION,
    TOPS,
    UNITS,
)
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader


def measure_sparsity(run: Run, part: Part) -> None:
    """Write the shares of non-zero activations at taps, and of active hidden units."""
    means = []
    errors = []
    for checkpoint in run.checkpoints:
        with run.open_activations(checkpoint) as activations:
            taps = activations.taps
            mean, error = _mean_and_error(run, activations)
        means.append(mean)
        errors.append(error)
    datasets: dict[Dataset, Any] = {
        SPARSITY_CHECKPOINTS: [checkpoint.epoch for checkpoint in run.checkpoints],
        SPARSITY_TAPS: taps,
        NONZERO: np.stack(means),  # (E, L)
        NONZERO.se: np.stack(errors),
    }
    try:
        run.subject.require_images("what hidden units do")
    except NotApplicable as error:
        log.info("sparsity: only for the taps: %s", error)
    else:
        datasets |= _of_hidden_units(run, part)
    part.write(datasets)


def costs(work: Workload) -> Costs:
    """Return what the shares of all images, and passes of some through the network, take."""
    sizes = work.sizes
    options = work.config.sparsity
    taps = len(sizes.widths)
    shares = 3.0 * NUMBER * work.images_of_rank * taps
    images = 0 if work.config.data.source == "imported" else min(sizes.n, options.images)
    batch = min(work.sizes.batch, images)
    numbers = sum(map(LayerSums.size, sizes.hidden.values()))
    widest = max(sizes.hidden.values(), default=0)
    sorting = 4 * NUMBER * batch * POSITIONS * widest
    in_flight = formulas.images_in_flight(work, batch, AHEAD)
    # A layer's truth values, and the largest of its values with their places, beside the pass.
    passes = sizes.weights + 3 * sizes.forward + sorting + in_flight + 2 * NUMBER * numbers
    return Costs(
        memory=max(shares, passes),
        host=max(shares, sizes.weights + in_flight),
        operations=(sizes.checkpoints + len(options.top)) * float(images) * sizes.operations,
        sent=work.sent(sizes.checkpoints * (2 * taps + (numbers if images else 0))),
    )


def _mean_and_error(run: Run, activations: ActivationReader) -> tuple[np.ndarray, np.ndarray]:
    """Return the share at every tap, mean over all ranks' images, and its standard error: (L,)."""
    [n] = activations.shape("samples/id")
    rows = run.ranks.block(n)
    columns = [activations.read(f"taps/{tap}/nonzero", rows) for tap in activations.taps]
    shares = run.tensor(np.stack(columns))  # (L, n)
    mean = run.ranks.sum(shares.sum(1)) / n
    squares = run.ranks.sum((shares - mean[:, None]).square().sum(1))
    error = torch.sqrt(squares / (n * max(1, n - 1)))
    return mean.cpu().numpy(), error.cpu().numpy()


def _of_hidden_units(run: Run, part: Part) -> dict[Dataset, Any]:
    """Return what every layer of hidden units shows at every checkpoint."""
    measured = []
    for checkpoint in run.progress(run.checkpoints, "sparsity: checkpoints"):
        measure = partial(_measure, run, checkpoint)
        measured.append(part.partial_results.get(checkpoint.name, measure))
        run.safe_point()
    part.partial_results.log_reused("checkpoints")
    if not len(measured[0][LAYERS.column]):
        log.info("sparsity: only for the taps: none of the network's modules is a nonlinearity")
        return {}
    datasets: dict[Dataset, Any] = {
        LAYERS: [*measured[0][LAYERS.column]],
        UNITS: measured[0][UNITS.column],
        RATE_QUANTILES: QUANTILES,
    }
    for dataset in (*OF_LAYERS, *(each.se for each in OF_LAYERS), DEAD, FIRING_RATES):
        datasets[dataset] = np.stack([of_epoch[dataset.column] for of_epoch in measured])
    positive = datasets[POSITIVE].mean(1)
    log.info("sparsity: %.3f of the values of hidden units are above zero at the first checkpoint, "
             "%.3f at the last", positive[0], positive[-1])  # fmt: skip
    return datasets | _with_largest(run, part)


def _measure(run: Run, checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    return LazyPasses(run, checkpoint, run.config.sparsity.images).summaries()


def _with_largest(run: Run, part: Part) -> dict[Dataset, Any]:
    """Return what the final network predicts with the largest hidden units, where it is asked."""
    tops = run.config.sparsity.top
    with run.open_activations(run.final) as activations:
        if not tops or not activations.labelled or not run.config.network.classifies:
            return {}
    passes = LazyPasses(run, run.final, run.config.sparsity.images)
    measured = []
    for share in run.progress(tops, "sparsity: shares"):
        measure = partial(passes.with_largest, share)
        measured.append(part.partial_results.get(f"top_{share}", measure))
        run.safe_point()
    datasets: dict[Dataset, Any] = {TOPS: tops}
    for dataset in (TOP_ACCURACY, TOP_ACCURACY.se, TOP_CALIBRATION):
        datasets[dataset] = np.stack([of_share[dataset.column] for of_share in measured])
    return datasets
