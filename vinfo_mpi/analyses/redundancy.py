"""Over how many channels of the last tap each concept is spread.

What is left of its CKA when random channels are masked.

mpirun -n 8 python -m vinfo_mpi.analyses.redundancy
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("redundancy", __doc__)

import numpy as np

from vinfo_mpi.concepts import vinformation, vinformation_costs
from vinfo_mpi.concepts.vinformation import Source
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.numerics import cka
from vinfo_mpi.numerics.arrays import standard_error
from vinfo_mpi.numerics.moments import Moments
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.results.schema_analyses import REDUNDANCY, REDUNDANCY_RATES, REDUNDANCY_VALUES
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run


def measure_redundancy(run: Run, part: Part) -> None:
    """Write the redundancy of every concept at every rate of kept channels, and its mean."""
    rates = run.config.redundancy.rates
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        vinformation.same_images(codes, activations)
        last_tap = Source(activations, activations.taps[-1])
        [moments] = vinformation.moments_of(run, [last_tap], codes)
    with run.clock.phase("mask"):
        of_own_concepts = np.stack([_cka_left(run, moments, rate) for rate in rates])
    left = run.ranks.concatenate(of_own_concepts, axis=2)  # (rates, masks, K)
    values = left.mean(1)
    over_rates = left.mean(0)
    means = [
        f"{np.nanmean(of_rate):.3f} of {rate}" for of_rate, rate in zip(values, rates, strict=True)
    ]
    log.info("redundancy: mean share of the CKA that is left by a share of the channels: %s",
             ", ".join(means))  # fmt: skip
    part.write(
        {
            REDUNDANCY_RATES: rates,
            REDUNDANCY_VALUES: values,
            REDUNDANCY_VALUES.se: standard_error(left, axis=1),
            REDUNDANCY: over_rates.mean(0),
            REDUNDANCY.se: standard_error(over_rates),
        }
    )


def costs(work: Workload) -> Costs:
    """Return what the moments of the last tap take."""
    width = list(work.sizes.widths.values())[-1]
    d = work.sizes.d
    return Costs(
        memory=vinformation_costs.memory(work, [width]),
        operations=2.0 * work.sizes.n * d * (d + work.sizes.concepts),
        sent=vinformation_costs.sent_moments(work, 1, width),
    )


def _cka_left(run: Run, moments: Moments, rate: float) -> np.ndarray:
    """Return the share of their CKA that every mask leaves of this rank's concepts: (masks, K)."""
    # With one seed for all rates the channels kept at a low rate are also kept at higher ones.
    masks = cka.masks(moments.x.shape[1], rate, run.config.redundancy.masks, run.config.seed)
    return cka.redundancy(moments, masks).cpu().numpy()
