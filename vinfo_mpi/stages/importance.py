"""How much the decision rests on each concept: gradient times input, signed, and its share of the logit's variance."""

from __future__ import annotations

import torch

from vinfo_mpi.concepts import encoders, vinformation
from vinfo_mpi.concepts.slopes import linear_slopes, network_slopes
from vinfo_mpi.numerics.attribution import Attribution
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.results import store
from vinfo_mpi.run import freshness
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.hdf5 import Table


def run(run: Run, force: bool = False) -> None:
    """Write the three measures of importance."""
    provenance = freshness.provenance(run, "importance", "vinfo-results")
    atoms, offset = encoders.decoder(run)
    attribution = Attribution(len(atoms), run.device)
    target = f"samples/{run.config.importance.target}"
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        vinformation.same_images(activations, codes)
        slopes = linear_slopes(run, activations, atoms)
        slopes = slopes or network_slopes(run.head(activations), atoms, offset, run.config.machine.batch)
        n = codes.shape("codes")[0]
        for block in run.progress(batches(run.ranks.block(n), run.config.machine.rows), "importance: blocks"):
            z = run.tensor(codes.read("codes", block))
            attribution.add(z, slopes(z, torch.from_numpy(activations.read(target, block)).to(run.device)))
        run.clock.bytes_read += activations.bytes_read + codes.bytes_read
    absolute, signed, share = (run.ranks.sum(attribution.sums) / n).cpu().numpy()
    concept = ("concept",)
    tables = {
        "concepts/importance": Table(absolute, "mean |code × derivative of the class's logit|", "logit", concept),
        "concepts/importance_signed": Table(signed, "the same without the absolute value: > 0 promotes", "logit", concept),
        "concepts/importance_share": Table(share, "mean share of the logit's variance (total Sobol index)", "1", concept),
    }
    run.ranks.on_root(store.update, run.results, "importance", tables, provenance)
