"""Flow of concepts: what shortcuts of residual blocks carry of them, what main branches add.

mpirun -n 8 python -m vinfo_mpi.analyses.flow
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("flow", __doc__)

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch

from vinfo_mpi.concepts import vinformation, vinformation_costs
from vinfo_mpi.concepts.vinformation import Source
from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.networks.families import RESIDUAL_BLOCKS
from vinfo_mpi.numerics import bootstrap, cka
from vinfo_mpi.numerics.selection import extremes
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import CLASS, COMPLEXITY
from vinfo_mpi.results.schema_analyses import BRANCHES, FLOW_BLOCKS, MEASURES, flow, flow_mean
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader
from vinfo_mpi.storage.rows import RowReader


def measure_flow(run: Run, part: Part) -> None:
    """Write CKA and V-information of every concept with both branches of every block.

    And their means over the simplest and over the most complex concepts.
    """
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        branches = _branches(activations)
        fold = vinformation.fold_of_rows(run, codes, activations)
        sources = {name: Source(activations, name) for name in branches}
        measure = partial(_measure_branches, run, codes=codes, fold=fold)
        measured = vinformation.for_each_source(run, part.partial_results, sources, codes, measure)
    of_branch = dict(zip(branches, measured, strict=True))
    complexity = part.read_results(COMPLEXITY)
    cluster = part.read_results(CLASS)
    ends = extremes(complexity, run.config.flow.extremes)
    blocks = [name.removesuffix(".main") for name in branches if name.endswith(".main")]
    datasets: dict[Dataset, np.ndarray | list[str]] = {FLOW_BLOCKS: blocks}
    for branch in BRANCHES:
        for measure_name in MEASURES:
            values = np.stack([of_branch[f"{block}.{branch}"][measure_name] for block in blocks])
            datasets[flow(branch, measure_name)] = values  # (blocks, K)
            for end, concepts in ends.items():
                mean = flow_mean(end, branch, measure_name)
                means = [
                    bootstrap.mean(of_block[concepts], cluster[concepts]) for of_block in values
                ]
                datasets[mean] = np.array([of_block.value for of_block in means])
                datasets[mean.se] = np.array([of_block.standard_error for of_block in means])
    part.write(datasets)


def costs(work: Workload) -> Costs:
    """Return what the V-information of all branches takes."""
    widths = list(work.sizes.branches.values())
    return Costs(
        memory=vinformation_costs.memory(work, widths),
        host=vinformation_costs.host(work, widths),
        operations=sum(vinformation_costs.operations(work, width) for width in widths),
        sent=sum(vinformation_costs.sent(work, width) for width in widths),
        disk=formulas.results(work, 2 * len(widths)),
    )


def _measure_branches(
    run: Run, branches: list[Source], codes: RowReader, fold: torch.Tensor
) -> Iterator[dict[str, np.ndarray]]:
    """Yield CKA and V-information of every concept with each of some branches."""
    moments = vinformation.moments_of(run, branches, codes, fold)
    scores_of_branches = vinformation.scores(run, moments)
    for moments_of_branch, scores in zip(moments, scores_of_branches, strict=True):
        of_own_concepts = cka.from_moments(moments_of_branch).cpu().numpy()
        yield {"cka": run.ranks.concatenate(of_own_concepts), "vinformation": scores.r2}


def _branches(activations: ActivationReader) -> list[str]:
    """Return the stored branches, ``block.main`` and ``block.shortcut``, in forward order."""
    if not activations.branches:
        raise NotApplicable(
            f"flow needs residual blocks, and {activations.path} holds no branches: "
            "either extract.branches is false, or none of the taps "
            f"({', '.join(activations.taps)}) is a block whose shortcut and main branch add up "
            f"to its output (known: {', '.join(RESIDUAL_BLOCKS)})"
        )
    return activations.branches
