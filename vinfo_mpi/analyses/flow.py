"""How concepts travel: what the shortcut of every residual block carries of them, and what its main branch adds.

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

from vinfo_mpi.concepts import vinformation
from vinfo_mpi.concepts.vinformation import Source
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.networks.branches import FAMILIES
from vinfo_mpi.numerics import cka
from vinfo_mpi.numerics.selection import extremes
from vinfo_mpi.results import store
from vinfo_mpi.run import freshness
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader
from vinfo_mpi.storage.hdf5 import Table, fixed_width, read_table
from vinfo_mpi.storage.rows import RowReader

MEASURES = {"cka": "linear CKA", "vinformation": "V-information"}


def run(run: Run, force: bool = False) -> None:
    """Write CKA and V-information of every concept with both branches of every block, and their means at either end of K."""
    provenance = freshness.provenance(run, "flow", "vinfo-results")
    pieces = run.pieces("flow", provenance["fingerprint"], force)
    found: dict[str, list[np.ndarray]] = {}
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        branches = _branches(activations)
        fold = vinformation.fold_of_rows(run, codes, activations)
        sources = {name: Source(activations, name) for name in branches}
        every = vinformation.of_each(run, pieces, sources, codes, partial(_along, run, codes=codes, fold=fold))
        run.clock.bytes_read += activations.bytes_read + codes.bytes_read
    for name, measures in zip(branches, every, strict=True):
        for measure, one in measures.items():
            found.setdefault(f"{name.rsplit('.', 1)[1]}_{measure}", []).append(one)
    complexity = read_table(run.results, "vinfo-results", "concepts/complexity")
    blocks = [name.removesuffix(".main") for name in branches if name.endswith(".main")]
    tables = {"flow/blocks": Table(fixed_width(blocks), "names of the residual blocks in forward order", axes=("block",))}
    for name, rows in found.items():
        kind, measure = name.split("_")
        values = np.stack(rows)  # (blocks, K)
        text = f"{MEASURES[measure]} of the {kind} branch"
        tables[f"flow/{name}"] = Table(values, f"{text} and every concept", "1", ("block", "concept"))
        for end, chosen in extremes(complexity, run.config.flow.extremes).items():
            mean, error = values[:, chosen].mean(1), values[:, chosen].std(1, ddof=1) / np.sqrt(len(chosen))
            tables[f"flow/{end}_{name}"] = Table(mean, f"{text}, mean over the {end} concepts", "1", ("block",))
            tables[f"flow/{end}_{name}_se"] = Table(error, "its standard error over the concepts", "1", ("block",))
    run.ranks.on_root(store.update, run.results, "flow", tables, provenance)
    pieces.remove()


def _along(run: Run, branches: list[Source], codes: RowReader, fold: torch.Tensor) -> Iterator[dict[str, np.ndarray]]:
    """Yield CKA and V-information of every concept with each of some branches."""
    moments = vinformation.moments_of(run, branches, codes, fold)
    for one, scores in zip(moments, vinformation.scores(run, moments), strict=True):
        yield {"cka": run.ranks.concatenate(cka.of_moments(one).cpu().numpy()), "vinformation": scores.r2}


def _branches(activations: ActivationReader) -> list[str]:
    if not activations.branches:
        raise NotApplicable(
            f"flow needs residual blocks, and {activations.path} holds the branches of none: either extract.branches is false, or "
            f"none of the taps ({', '.join(activations.taps)}) is a block whose shortcut and main branch add up to its output "
            f"(known: {', '.join(FAMILIES)})"
        )
    return activations.branches
