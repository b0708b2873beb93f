"""Importance of each concept for the decision: gradient times input, shares of the variance."""

from __future__ import annotations

from collections.abc import Callable

import torch

from vinfo_mpi.concepts import encoders, encoders_costs, slopes_costs, vinformation
from vinfo_mpi.concepts.onwards import Onwards
from vinfo_mpi.concepts.slopes import slopes_of_head
from vinfo_mpi.concepts.stored import Observed
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.numerics.attribution import Attribution
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.results.schema import IMPORTANCE, IMPORTANCE_SHARE, IMPORTANCE_SIGNED
from vinfo_mpi.run.applicable import require_classifier
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import MAP, ActivationReader
from vinfo_mpi.storage.rows import RowReader

Contributions = Callable[[range, torch.Tensor], torch.Tensor]  # of rows and classes (B,)


def measure_importance(run: Run, part: Part) -> None:
    """Write the three measures of importance."""
    require_classifier(run, "importance")
    atoms, offset = encoders.decoder(run)
    attribution = Attribution(len(atoms), run.device)
    target = f"samples/{run.config.importance.target}"
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        vinformation.same_images(activations, codes)
        n = codes.shape("codes")[0]
        if run.config.dictionary.tap == "last":
            contributions = _behind_the_last_tap(run, activations, codes, atoms, offset)
            size = run.config.machine.rows
        else:
            contributions = _behind_another_tap(run, activations, atoms, offset)
            size = max(1, run.config.machine.rows // activations.shape(MAP)[1])
        for block in run.progress(batches(run.ranks.block(n), size), "importance: blocks"):
            classes = torch.from_numpy(activations.read(target, block)).to(run.device)
            attribution.add(contributions(block, classes))
    means = run.ranks.sum(attribution.sums) / n
    absolute, signed, share = means.cpu().numpy()
    part.write({IMPORTANCE: absolute, IMPORTANCE_SIGNED: signed, IMPORTANCE_SHARE: share})


def _behind_the_last_tap(
    run: Run,
    activations: ActivationReader,
    codes: RowReader,
    atoms: torch.Tensor,
    offset: torch.Tensor,
) -> Contributions:
    """Return the function that gives contributions from the averaged codes."""
    slopes = slopes_of_head(run, activations, atoms, offset)

    def contributions(block: range, classes: torch.Tensor) -> torch.Tensor:
        z = run.tensor(codes.read("codes", block))
        return z * slopes(z, classes)

    return contributions


def _behind_another_tap(
    run: Run, activations: ActivationReader, atoms: torch.Tensor, offset: torch.Tensor
) -> Contributions:
    """Return the function that gives contributions from the codes of every position."""
    encoder = encoders.encoder(run)
    observed = Observed(run, activations)
    onwards = Onwards(run, activations)

    def contributions(block: range, classes: torch.Tensor) -> torch.Tensor:
        z = encoder.encode(observed.read(encoder.reads, block)).codes
        ids = activations.read("samples/id", block)
        return onwards.contributions(ids, z, offset + z @ atoms, atoms, classes)

    return contributions


def costs(work: Workload) -> Costs:
    """Return what the slopes at all images take."""
    return Costs(
        memory=slopes_costs.memory(work),
        operations=_operations(work),
        sent=work.sent(3 * work.sizes.concepts),
    )


def _operations(work: Workload) -> float:
    """Return the operations; behind another tap than the last, with those of codes once more.

    There the network runs forward for every image, and back to the tap.
    """
    if work.config.dictionary.tap == "last":
        return slopes_costs.operations(work)
    sizes = work.sizes
    codes = float(sizes.n * sizes.positions * sizes.concepts)
    network = float(sizes.n * (sizes.operations + sizes.head))
    return encoders_costs.solutions(work, sizes.n) + 4 * codes * sizes.d + network
