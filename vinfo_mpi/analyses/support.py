"""Support of the network's decisions: accuracy when only some of the concepts are kept.

mpirun -n 8 python -m vinfo_mpi.analyses.support
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("support", __doc__)

from collections.abc import Mapping

import numpy as np
import torch

from vinfo_mpi.concepts import encoders, slopes_costs, vinformation
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.numerics import support
from vinfo_mpi.numerics.support import Curves
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.results.schema import CLASS, COMPLEXITY, IMPORTANCE
from vinfo_mpi.results.schema_analyses import (
    SUPPORT_ACCURACY,
    SUPPORT_AREA,
    SUPPORT_ORDERS,
    SUPPORT_PROPORTIONS,
    SUPPORT_RELATIVE,
)
from vinfo_mpi.run.applicable import require_classifier, require_last_tap
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run

SORTED = 6  # orders by complexity, plain and in turn, and importance, up and down
RANDOM = 2  # that are drawn several times, plain and in turn
IN_TURN_SORTED = 2  # the same as those without turns where concepts are of no class


def measure_support(run: Run, part: Part) -> None:
    """Write the accuracy against the proportion of concepts kept, for several orders of them."""
    require_classifier(run, "support")
    require_last_tap(run, "support")
    complexity = part.read_results(COMPLEXITY)
    importance = part.read_results(IMPORTANCE)
    classes = part.read_results(CLASS)
    options = run.config.support
    orders = support.orders(complexity, importance, classes, options.draws, run.config.seed)
    counts = _counts(len(complexity), options.steps)
    curves = _curves(run, orders, counts)
    accuracy, accuracy_error = curves.accuracy()
    relative, relative_error = curves.relative()  # in the last column the area
    areas = [f"{area:.3f} {name}" for name, area in zip(orders, relative[:, -1], strict=True)]
    log.info("support: accuracy %.3f with all concepts; area under the relative accuracy: %s",
             accuracy[0, -1], ", ".join(areas))  # fmt: skip
    part.write(
        {
            SUPPORT_ORDERS: list(orders),
            SUPPORT_PROPORTIONS: counts / len(complexity),
            SUPPORT_ACCURACY: accuracy,
            SUPPORT_ACCURACY.se: accuracy_error,
            SUPPORT_RELATIVE: relative[:, :-1],
            SUPPORT_RELATIVE.se: relative_error[:, :-1],
            SUPPORT_AREA: relative[:, -1],
            SUPPORT_AREA.se: relative_error[:, -1],
        }
    )


def costs(work: Workload) -> Costs:
    """Return what rebuilding and classifying all images along all orders takes."""
    sizes = work.sizes
    options = work.config.support
    orders = SORTED + RANDOM * options.draws
    distinct = orders if sizes.groups > 1 else orders - IN_TURN_SORTED - options.draws
    rebuild = 2.0 * sizes.concepts * sizes.d
    return Costs(
        memory=slopes_costs.memory(work),
        operations=distinct * sizes.n * (rebuild + options.steps * sizes.head),
        sent=work.sent(3 * orders * (len(_counts(sizes.concepts, options.steps)) + 1)),
    )


def _counts(concepts: int, steps: int) -> np.ndarray:
    """Return how many concepts are kept, from none to all of them."""
    return np.unique(np.linspace(0, concepts, steps + 1).round().astype(int))


def _curves(run: Run, orders: Mapping[str, np.ndarray], counts: np.ndarray) -> Curves:
    """Return the sums over all ranks' images."""
    atoms, offset = encoders.decoder(run)
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        activations.require_labels("support")
        vinformation.same_images(activations, codes)
        network = run.head(activations)
        n, _ = codes.shape("codes")
        blocks = batches(run.ranks.block(n), run.config.machine.rows)
        curves = Curves(orders, counts, n, run.device)

        @torch.no_grad()
        def head(vectors: torch.Tensor) -> torch.Tensor:
            return torch.cat([network(batch) for batch in vectors.split(run.batch)])

        with run.bar("support: orders", len(blocks) * len(curves.distinct)) as bar:
            for rows in blocks:
                labels = torch.from_numpy(activations.read("samples/label", rows)).to(run.device)
                z = run.tensor(codes.read("codes", rows))
                curves.add(z, atoms, offset, head, labels, bar.update)
    run.ranks.sum(curves.sums)
    return curves
