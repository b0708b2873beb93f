"""How much the decision rests on each concept: gradient times input, and shares of the variance."""

from __future__ import annotations

import torch

from vinfo_mpi.concepts import encoders, slopes_costs, vinformation
from vinfo_mpi.concepts.slopes import slopes_of_head
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.numerics.attribution import Attribution
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.results.schema import IMPORTANCE, IMPORTANCE_SHARE, IMPORTANCE_SIGNED
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run


def measure_importance(run: Run, part: Part) -> None:
    """Write the three measures of importance."""
    if not run.config.network.classifies:
        raise NotApplicable("importance needs a classifier; network.outputs is none")
    atoms, offset = encoders.decoder(run)
    attribution = Attribution(len(atoms), run.device)
    target = f"samples/{run.config.importance.target}"
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        vinformation.same_images(activations, codes)
        slopes = slopes_of_head(run, activations, atoms, offset)
        n = codes.shape("codes")[0]
        blocks = batches(run.ranks.block(n), run.config.machine.rows)
        for block in run.progress(blocks, "importance: blocks"):
            z = run.tensor(codes.read("codes", block))
            classes = torch.from_numpy(activations.read(target, block)).to(run.device)
            attribution.add(z, slopes(z, classes))
    means = run.ranks.sum(attribution.sums) / n
    absolute, signed, share = means.cpu().numpy()
    part.write({IMPORTANCE: absolute, IMPORTANCE_SIGNED: signed, IMPORTANCE_SHARE: share})


def costs(work: Workload) -> Costs:
    """Return what the slopes at all images take."""
    return Costs(
        memory=slopes_costs.memory(work),
        operations=slopes_costs.operations(work),
        sent=work.sent(3 * work.sizes.concepts),
    )
