"""Over how many channels of the last tap each concept is spread.

How much of its V-information is left when only random channels are.

mpirun -n 8 python -m vinfo_mpi.analyses.redundancy
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("redundancy", __doc__)

from functools import partial

import numpy as np
from tqdm import tqdm

from vinfo_mpi.concepts import vinformation, vinformation_costs
from vinfo_mpi.concepts.vinformation import Source
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.numerics.arrays import standard_error
from vinfo_mpi.numerics.moments import Moments
from vinfo_mpi.numerics.redundancy import channel_masks, channels_kept, shares
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.results.schema_analyses import REDUNDANCY, REDUNDANCY_RATES, REDUNDANCY_VALUES
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run


def measure_redundancy(run: Run, part: Part) -> None:
    """Write the redundancy of every concept at every rate of kept channels, and its mean."""
    options = run.config.redundancy
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        fold = vinformation.fold_of_rows(run, codes, activations)
        last_tap = Source(activations, activations.taps[-1])
        [moments] = vinformation.moments_of(run, [last_tap], codes, fold)
    [whole] = vinformation.scores(run, [moments])
    left = []
    with run.bar("redundancy: masks", len(options.rates) * options.masks) as bar:
        for rate in options.rates:
            measure = partial(_masked, run, moments, rate, bar)
            masked = part.partial_results.get(f"rate_{rate:g}", measure)
            left.append(shares(masked["r2"], whole.r2))
    values = np.stack(left)  # (rates, masks, K)
    over_rates = values.mean(0)
    means = [
        f"{np.nanmean(of_rate):.3f} of {rate}"
        for of_rate, rate in zip(values, options.rates, strict=True)
    ]
    log.info("redundancy: mean share of the V-information that is left by a share of the channels: "
             "%s", ", ".join(means))  # fmt: skip
    part.write(
        {
            REDUNDANCY_RATES: options.rates,
            REDUNDANCY_VALUES: values.mean(1),
            REDUNDANCY_VALUES.se: standard_error(values, axis=1),
            REDUNDANCY: over_rates.mean(0),
            REDUNDANCY.se: standard_error(over_rates),
        }
    )


def costs(work: Workload) -> Costs:
    """Return what the V-information of the last tap takes, with every mask."""
    options = work.config.redundancy
    score = work.config.score
    width = list(work.sizes.widths.values())[-1]
    k = work.sizes.concepts
    splits = vinformation_costs.splits(work)
    widths = [channels_kept(width, rate) for rate in options.rates]
    of_masks = sum(vinformation_costs.solutions(work, kept, splits) for kept in widths)
    factors = sum(vinformation_costs.sent_factors(work, kept, splits) for kept in widths)
    return Costs(
        memory=vinformation_costs.memory(work, [width])
        + Moments.bytes(score.folds, max(widths), -(-k // work.ranks)),
        host=vinformation_costs.host(work, [width]),
        operations=vinformation_costs.operations(work, width) + options.masks * of_masks,
        sent=vinformation_costs.sent(work, width) + options.masks * factors,
    )


def _masked(run: Run, moments: Moments, rate: float, bar: tqdm) -> dict[str, np.ndarray]:
    """Return the V-information of every concept from the channels of every mask: (masks, K)."""
    options = run.config.redundancy
    rows = []
    for mask in channel_masks(moments.x.shape[1], rate, options.masks, run.config.seed):
        run.safe_point()
        [scores] = vinformation.scores(run, [moments.of_channels(mask)])
        rows.append(scores.r2)
        bar.update()
    return {"r2": np.stack(rows)}
