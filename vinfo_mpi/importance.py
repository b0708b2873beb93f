"""How much the decision rests on each concept: gradient times input, signed, and its share of the logit's variance.

mpirun -n 8 python -m vinfo_mpi.importance
"""

from __future__ import annotations

from vinfo_mpi import command

if __name__ == "__main__":
    command.main("importance", __doc__)  # before the imports below: --help and mistakes answer without torch

from collections.abc import Callable

import torch

from vinfo_mpi import encoders, pipeline, vinformation
from vinfo_mpi.numerics.attribution import Attribution
from vinfo_mpi.parallel.division import batches
from vinfo_mpi.run import Run
from vinfo_mpi.storage import results_file
from vinfo_mpi.storage.activations import ActivationReader
from vinfo_mpi.storage.files import Table


def run(run: Run, force: bool = False) -> None:
    """Write the three measures of importance."""
    provenance = pipeline.provenance(run, "importance", "vinfo-results")
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
    run.ranks.on_root(results_file.update, run.results, "importance", tables, provenance)


Slopes = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def linear_slopes(run: Run, activations: ActivationReader, atoms: torch.Tensor) -> Slopes | None:
    """Return the derivatives along the atoms of a linear head: the same for all images of a class."""
    if "head" not in activations:
        return None
    table = run.tensor(activations.read("head/weight")) @ atoms.T  # (C, K)
    return lambda codes, classes: table[classes]


def network_slopes(head: Callable[[torch.Tensor], torch.Tensor], atoms: torch.Tensor, offset: torch.Tensor, batch: int) -> Slopes:
    """Return the derivatives along the atoms of any head, at the images' reconstructions offset + z D, a batch at a time."""

    def derivatives(codes: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        vectors = (offset + codes @ atoms).requires_grad_()
        logits = head(vectors).gather(1, classes[:, None]).sum()
        return torch.autograd.grad(logits, vectors)[0] @ atoms.T

    def slopes(codes: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        return torch.cat([derivatives(*part) for part in zip(codes.split(batch), classes.split(batch), strict=True)])

    return slopes
