"""Quality of the filters of every convolution: idle kernels, their variety, orthogonality.

mpirun -n 8 python -m vinfo_mpi.analyses.filters
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("filters", __doc__)

from typing import Any

import numpy as np
from torch import nn

from vinfo_mpi.costs.formulas import NUMBER
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.numerics import filters
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.results import schema_filters as schema
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run


def measure_filters(run: Run, part: Part) -> None:
    """Write the quality of the filters at every checkpoint: of weights alone, without an error."""
    run.subject.require_images("filters")
    measured = run.ranks.on_root(lambda: [_measure(run, each) for each in run.checkpoints])
    layers = list(measured[-1])
    datasets: dict[Dataset, Any] = {
        schema.FILTER_CHECKPOINTS: [checkpoint.epoch for checkpoint in run.checkpoints],
        schema.FILTER_LAYERS: layers,
        schema.KERNELS: [measured[-1][layer].kernels for layer in layers],
    }
    for name, dataset in {**schema.QUALITIES, "degenerate": schema.DEGENERATE}.items():
        rows = [[getattr(of_layers[layer], name) for layer in layers] for of_layers in measured]
        datasets[dataset] = np.array(rows, float)
    _say(layers, datasets[schema.DEGENERATE][-1] == 1)
    part.write(datasets)


def costs(work: Workload) -> Costs:
    """Return what a network, and the filters of a layer in double precision, take."""
    sizes = work.sizes
    widest = max([*sizes.widths.values(), *sizes.hidden.values()])
    return Costs(
        memory=4.0 * sizes.weights + 3 * NUMBER * (widest**2 + filters.MOST * 64),
        on_cpu=True,
    )


def _measure(run: Run, checkpoint: Checkpoint) -> dict[str, filters.Quality]:
    """Return the quality of every convolution of a checkpoint, by name, in the order it is made."""
    measured = {
        name: filters.quality(module.weight.detach().cpu().numpy())
        for name, module in run.subject.network(checkpoint).named_modules()
        if isinstance(module, nn.Conv2d) and module.weight[0, 0].numel() > 1
    }
    if not measured:
        raise NotApplicable("filters looks at convolutions, and the network has none beyond 1 × 1")
    return measured


def _say(layers: list[str], degenerate: np.ndarray) -> None:
    named = [layer for layer, bad in zip(layers, degenerate, strict=True) if bad]
    log.info("filters: %d of %d convolutions are degenerate in the end%s",
             len(named), len(layers), f": {', '.join(named)}" if named else "")  # fmt: skip
