"""Facets: the groups into which the strongest images of a concept fall, if they fall into any.

mpirun -n 8 python -m vinfo_mpi.analyses.facets
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("facets", __doc__)

from functools import partial

import numpy as np

from vinfo_mpi.concepts import vinformation
from vinfo_mpi.concepts.strongest import strongest_images
from vinfo_mpi.concepts.vinformation import Source
from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.formulas import NUMBER
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.errors import InputError, choices
from vinfo_mpi.networks.footprint import held
from vinfo_mpi.numerics import facets
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.results import schema_facets as schema
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader
from vinfo_mpi.storage.row_content import read_rows

TOGETHER = 256  # concepts that the ranks share at a time: what a job that is ended loses


def find_facets(run: Run, part: Part) -> None:
    """Write the facets of every concept, and that of each of its strongest images."""
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        vinformation.same_images(codes, activations)
        tap = Source(activations, _tap(run, activations))
        strongest = strongest_images(run, codes, run.config.facets.images)
        rows = strongest.rows.cpu().numpy()
        labels = activations.read("samples/label") if activations.labelled else None
        make = partial(_of_block, run, tap, labels, rows)
        blocks = []
        for block in run.progress(batches(range(rows.shape[1]), TOGETHER), "facets: concepts"):
            name = f"concepts_{block.start:06d}_{block.stop:06d}"
            blocks.append(part.partial_results.get(name, partial(make, block)))
            run.safe_point()
        ids = activations.read("samples/id")
    part.partial_results.log_reused("blocks")
    divided = {name: np.concatenate([values[name] for values in blocks]) for name in blocks[0]}
    several = divided["facets"] > 1
    log.info("facets: the strongest images of %d of %d concepts fall into several groups",
             several.sum(), len(several))  # fmt: skip
    part.write(
        {
            schema.FACETS: divided["facets"],
            schema.FACET_SILHOUETTE: divided["silhouette"],
            schema.FACET_NEEDED: divided["needed"],
            schema.FACET_CLASSES: divided["classes"],
            schema.FACET_IMAGES: np.where(rows >= 0, ids[rows], -1).T,
            schema.FACET_CODES: strongest.codes.cpu().numpy().T,
            schema.FACET_OF_IMAGE: divided["facet"],
        }
    )


def costs(work: Workload) -> Costs:
    """Return what choosing the images takes, and dividing those of each concept."""
    images = min(work.config.facets.images, work.sizes.n)
    width = max(work.sizes.widths.values())
    # Codes and rows of a block, joined to those so far, sorted, their order.
    chosen = 6 * held(NUMBER * (work.rows + images) * work.sizes.concepts)
    # Vectors as read, in order, centred, and their singular vectors; distances of a division.
    divided = NUMBER * images * (5.0 * width + 6 * images)
    # A singular value decomposition; distances and a tree of these vectors and of those drawn.
    each = 8.0 * images**2 * width + 50 * (1 + facets.DRAWS) * images**2
    return Costs(
        memory=max(chosen, divided),
        operations=work.sizes.concepts * each,
        disk=formulas.results(work, 4 + 3 * work.config.facets.images),
    )


def _tap(run: Run, activations: ActivationReader) -> str:
    """Return the tap whose activations are divided; raise `InputError` where there is none."""
    name = run.config.facets.tap or activations.map_tap
    if name not in activations.taps:
        raise InputError(
            f"facets.tap: the activations have no tap '{name}'; {choices(name, activations.taps)}"
        )
    return name


def _of_block(
    run: Run, tap: Source, labels: np.ndarray | None, rows: np.ndarray, block: range
) -> dict[str, np.ndarray]:
    """Return the facets of a block of concepts, from the work of all ranks."""
    mine = run.ranks.block(len(block))
    concepts = block[mine.start : mine.stop]
    with run.clock.phase("divide"), run.ranks.together():
        of_rank = _of_concepts(tap, labels, rows, concepts, run.config.seed)
    return {name: run.ranks.concatenate(values) for name, values in of_rank.items()}


def _of_concepts(
    tap: Source, labels: np.ndarray | None, rows: np.ndarray, concepts: range, seed: int
) -> dict[str, np.ndarray]:
    """Return the facets of some concepts: their strongest images are these columns of rows."""
    facet = np.full((len(concepts), len(rows)), -1)
    divided = {name: np.full(len(concepts), np.nan) for name in ("silhouette", "needed", "classes")}
    for place, concept in enumerate(concepts):
        there = rows[rows[:, concept] >= 0, concept]
        if not len(there):
            continue
        of_concept = facets.find(_vectors(tap, there), np.random.default_rng([seed, concept]))
        facet[place, : len(there)] = of_concept.facet
        divided["silhouette"][place] = of_concept.silhouette
        divided["needed"][place] = of_concept.needed
        if labels is not None:
            divided["classes"][place] = facets.agreement(of_concept.facet, labels[there])
    return {"facet": facet, "facets": facet.max(axis=1, initial=-1) + 1, **divided}


def _vectors(tap: Source, rows: np.ndarray) -> np.ndarray:
    """Return the activations of some images, in this order: (n,) to (n, d) float64."""
    ascending, place = np.unique(rows, return_inverse=True)
    return read_rows(tap.file, tap.name, ascending)[place].astype(np.float64)
