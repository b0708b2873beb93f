"""Over how many channels of the last tap each concept is spread: what is left of its CKA when random ones are masked.

mpirun -n 8 python -m vinfo_mpi.analyses.redundancy
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("redundancy", __doc__)

import numpy as np

from vinfo_mpi.concepts import vinformation
from vinfo_mpi.concepts.vinformation import Source
from vinfo_mpi.numerics import cka
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.results import store
from vinfo_mpi.run import freshness
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.hdf5 import Table


def run(run: Run, force: bool = False) -> None:
    """Write the redundancy of every concept at every rate of kept channels, and its mean over the rates."""
    provenance = freshness.provenance(run, "redundancy", "vinfo-results")
    options = run.config.redundancy
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        vinformation.same_images(codes, activations)
        (moments,) = vinformation.moments_of(run, [Source(activations, activations.taps[-1])], codes)
        run.clock.bytes_read += activations.bytes_read + codes.bytes_read
    with run.clock.phase("mask"):
        # With one seed for all rates the channels kept at a low rate are also kept at the higher ones.
        masks = [cka.masks(moments.x.shape[1], rate, options.masks, run.config.seed) for rate in options.rates]
        left = np.stack([cka.redundancy(moments, one).cpu().numpy() for one in masks])
    left = run.ranks.concatenate(left, axis=2)  # (rates, masks, K)
    values, together = left.mean(1), left.mean(0)
    found = ", ".join(f"{np.nanmean(one):.3f} of {rate}" for one, rate in zip(values, options.rates, strict=True))
    log.info("redundancy: mean share of the CKA that is left by a share of the channels: %s", found)
    concept, both = ("concept",), ("rate", "concept")
    text = "CKA of the last tap's kept channels and the concept, relative to that of all channels"
    over = "standard error over the masks"
    tables = {
        "redundancy/rates": Table(np.array(options.rates), "share of the channels that is kept", "1", ("rate",)),
        "redundancy/values": Table(values, f"{text}: mean over random masks; NaN: no variance", "1", both),
        "redundancy/values_se": Table(_error(left, 1), over, "1", both),
        "concepts/redundancy": Table(
            together.mean(0), f"{text}: mean over random masks and all rates of kept channels", "1", concept
        ),
        "concepts/redundancy_se": Table(_error(together, 0), over, "1", concept),
    }
    run.ranks.on_root(store.update, run.results, "redundancy", tables, provenance)


def _error(values: np.ndarray, axis: int) -> np.ndarray:
    return values.std(axis, ddof=1) / np.sqrt(values.shape[axis])
