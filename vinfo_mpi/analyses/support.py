"""How many concepts the network's decisions need: accuracy when only a part of the concepts is kept.

mpirun -n 8 python -m vinfo_mpi.analyses.support
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("support", __doc__)

import numpy as np
import torch

from vinfo_mpi.concepts import encoders, vinformation
from vinfo_mpi.numerics import support
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.results import store
from vinfo_mpi.run import freshness
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.hdf5 import Table, fixed_width, read_table


def run(run: Run, force: bool = False) -> None:
    """Write the accuracy against the proportion of concepts kept, for several orders in which they are kept."""
    provenance = freshness.provenance(run, "support", "vinfo-results")
    options, machine = run.config.support, run.config.machine
    atoms, offset = encoders.decoder(run)
    complexity, importance = (
        read_table(run.results, "vinfo-results", f"concepts/{column}") for column in ("complexity", "importance")
    )
    orders = support.orders(complexity, importance, options.draws, run.config.seed)
    counts = np.unique(np.linspace(0, len(atoms), options.steps + 1).round().astype(int))
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        vinformation.same_images(activations, codes)
        network = run.head(activations)
        n = codes.shape("codes")[0]
        curves = support.Curves(orders, counts, n, run.device)

        @torch.no_grad()
        def head(vectors: torch.Tensor) -> torch.Tensor:
            return torch.cat([network(part) for part in vectors.split(machine.batch)])

        for block in run.progress(batches(run.ranks.block(n), machine.rows), "support: blocks"):
            labels = torch.from_numpy(activations.read("samples/label", block)).to(run.device)
            curves.add(run.tensor(codes.read("codes", block)), atoms, offset, head, labels)
        run.clock.bytes_read += activations.bytes_read + codes.bytes_read
    run.ranks.sum(curves.sums)
    (accuracy, accuracy_se), (relative, relative_se) = curves.accuracy(), curves.relative()
    found = ", ".join(f"{area:.3f} {name}" for name, area in zip(orders, relative[:, -1], strict=True))
    log.info("support: accuracy %.3f with all concepts; area under the relative accuracy: %s", accuracy[0, -1], found)
    both = ("order", "proportion")
    over = "standard error over the images, for random orders also over the draws"
    text = "which concepts are kept first: importance-descending keeps the most important; random: mean over the draws"
    tables = {
        "support/orders": Table(fixed_width(list(orders)), text, axes=("order",)),
        "support/proportions": Table(counts / len(atoms), "share of the concepts that is kept", "1", ("proportion",)),
        "support/accuracy": Table(accuracy, "share of the images classified as their label from what is kept", "1", both),
        "support/accuracy_se": Table(accuracy_se, over, "1", both),
        "support/relative": Table(relative[:, :-1], "accuracy relative to that with all concepts", "1", both),
        "support/relative_se": Table(relative_se[:, :-1], over, "1", both),
        "support/area": Table(relative[:, -1], "area under the relative accuracy over the proportions", "1", ("order",)),
        "support/area_se": Table(relative_se[:, -1], over, "1", ("order",)),
    }
    run.ranks.on_root(store.update, run.results, "support", tables, provenance)
