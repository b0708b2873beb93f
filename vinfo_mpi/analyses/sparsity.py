"""Share of the activations that are not zero, at every tap and checkpoint.

mpirun -n 8 python -m vinfo_mpi.analyses.sparsity
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("sparsity", __doc__)

import numpy as np
import torch

from vinfo_mpi.costs.formulas import NUMBER
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.results.schema_analyses import NONZERO, SPARSITY_CHECKPOINTS, SPARSITY_TAPS
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader


def measure_sparsity(run: Run, part: Part) -> None:
    """Write the share of non-zero activations, mean over the images, and its standard error."""
    means = []
    errors = []
    for checkpoint in run.progress(run.checkpoints, "sparsity: checkpoints"):
        with run.open_activations(checkpoint) as activations:
            taps = activations.taps
            mean, error = _mean_and_error(run, activations)
        means.append(mean)
        errors.append(error)
    epochs = [checkpoint.epoch for checkpoint in run.checkpoints]
    nonzero = np.stack(means)  # (E, L)
    log.info("sparsity: %.3f of the last tap's activations are not zero at epoch %d, "
             "%.3f at epoch %d",
             nonzero[0, -1], epochs[0], nonzero[-1, -1], epochs[-1])  # fmt: skip
    part.write(
        {
            SPARSITY_CHECKPOINTS: epochs,
            SPARSITY_TAPS: taps,
            NONZERO: nonzero,
            NONZERO.se: np.stack(errors),
        }
    )


def costs(work: Workload) -> Costs:
    """Return what shares, their differences from the mean and the squares of these take."""
    taps = len(work.sizes.widths)
    return Costs(
        memory=3.0 * NUMBER * work.images_of_rank * taps,
        sent=work.sent(2 * work.sizes.checkpoints * taps),
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
