"""How many of the activations are not zero, at every tap and checkpoint.

mpirun -n 8 python -m vinfo_mpi.analyses.sparsity
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("sparsity", __doc__)

import numpy as np
import torch

from vinfo_mpi.parallel.logs import log
from vinfo_mpi.results import store
from vinfo_mpi.run import freshness
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.hdf5 import Table, fixed_width


def run(run: Run, force: bool = False) -> None:
    """Write the share of non-zero activations, mean over the images, and its standard error."""
    provenance = freshness.provenance(run, "sparsity", "vinfo-results")
    means, errors = [], []
    for checkpoint in run.progress(run.checkpoints, "sparsity: checkpoints"):
        with run.open_activations(checkpoint) as activations:
            taps, (n,) = activations.taps, activations.shape("samples/id")
            rows = run.ranks.block(n)
            shares = run.tensor(np.stack([activations.read(f"taps/{tap}/nonzero", rows) for tap in taps]))  # (L, n)
            run.clock.bytes_read += activations.bytes_read
        mean = run.ranks.sum(shares.sum(1)) / n
        squares = run.ranks.sum((shares - mean[:, None]).square().sum(1))
        means.append(mean)
        errors.append((squares / (n * max(1, n - 1))).sqrt())
    values, errors_of_values = (torch.stack(one).cpu().numpy() for one in (means, errors))  # (E, L)
    epochs = np.array([one.epoch for one in run.checkpoints])
    log.info("sparsity: %.3f of the last tap's activations are not zero at epoch %d, %.3f at epoch %d",
             values[0, -1], epochs[0], values[-1, -1], epochs[-1])  # fmt: skip
    both = ("checkpoint", "tap")
    tables = {
        "sparsity/checkpoints": Table(epochs, "epoch; 0 = untrained", "epoch", ("checkpoint",)),
        "sparsity/taps": Table(fixed_width(taps), "names of the taps in forward order", axes=("tap",)),
        "sparsity/nonzero": Table(
            values, "share of the values, before pooling, that are not zero: mean over the images", "1", both
        ),
        "sparsity/nonzero_se": Table(errors_of_values, "its standard error over the images", "1", both),
    }
    run.ranks.on_root(store.update, run.results, "sparsity", tables, provenance)
