"""Are the images alike that a concept is active in?

Monosemanticity and clarity by a reference: embeddings of the images from any model, or a tap of
this run or of another.

mpirun -n 8 python -m vinfo_mpi.analyses.monosemanticity
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("monosemanticity", __doc__)

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from vinfo_mpi.comparison.study import first_difference
from vinfo_mpi.concepts.shared_embeddings import OF_IMAGES
from vinfo_mpi.concepts.strongest import strongest_images
from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.formulas import NUMBER
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.errors import InputError, choices
from vinfo_mpi.networks.footprint import held
from vinfo_mpi.numerics import folds
from vinfo_mpi.numerics.complexity import jackknife
from vinfo_mpi.numerics.monosemanticity import Pairs, among, scaled
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.results import schema_monosemanticity as schema
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader
from vinfo_mpi.storage.array_files import RowsOfArray
from vinfo_mpi.storage.rows import RowReader

FOLDS = 5  # parts of the images that are left out in turn, for the standard errors
TOGETHER = 1000  # concepts whose sums are held at a time
IMAGES = "monosemanticity.images:"  # how sentences about embeddings begin

# What the images of a batch of rows count for each of some concepts: (B, k).
Weigh = Callable[[range], torch.Tensor]


@dataclass(frozen=True)
class Reference:
    """Embeddings of the analysed images, of any length.

    Attributes
    ----------
    width : int
        Numbers of an embedding.
    centred : bool
        Whether to take off their mean over the images: the vectors of a tap share a large one.
    read : function of a range of rows to a (B, e) array
    """

    width: int
    centred: bool
    read: Callable[[range], np.ndarray]


def measure_monosemanticity(run: Run, part: Part) -> None:
    """Write how alike the images of every concept are to the reference."""
    with (
        run.open_activations(run.final) as activations,
        run.open_codes() as codes,
        opened(run, activations) as reference,
    ):
        images = _Images(run, activations, reference)
        alike, error = _of_blocks(run, codes, images, _by_code(run, codes))
        clear, clear_error = _of_blocks(run, codes, images, _by_place(run, codes))
        of_all = images.similarity(1, lambda rows: _ones(run, rows))
    log.info("monosemanticity: mean %.3f, of all pairs of images %.3f; mean clarity %.3f",
             np.nanmean(alike), of_all[0].item(), np.nanmean(clear))  # fmt: skip
    measured = {
        schema.MONOSEMANTICITY: (alike, error),
        schema.CLARITY: (clear, clear_error),
        schema.ALL_PAIRS: (of_all[0].squeeze(), of_all[1].squeeze()),
    }
    values = {dataset: value for dataset, (value, _) in measured.items()}
    errors = {
        dataset.se.filled(folds=str(FOLDS)): of_value for dataset, (_, of_value) in measured.items()
    }
    part.write(values | errors)


def costs(work: Workload) -> Costs:
    """Return what the sums of embeddings take, and passes over the images per block of concepts."""
    width = _width(work)
    concepts = work.sizes.concepts
    together = min(concepts, TOGETHER)
    sums = FOLDS * (width + 2) * together
    options = work.config.monosemanticity
    # Codes and rows of a block, joined to those so far, sorted, their order.
    chosen = 6 * held(NUMBER * (work.rows + options.strongest) * concepts)
    rows = 3 * held(NUMBER * work.rows * (concepts + together + width))
    numbers = 2 * FOLDS * (width + 2) * concepts + FOLDS * (width + 2) + 2 * concepts
    return Costs(
        memory=max(chosen, 3 * NUMBER * sums + rows),
        operations=4.0 * FOLDS * work.sizes.n * concepts * width,
        sent=work.sent(numbers + (width if options.images is None else 0)),
        disk=formulas.results(work, 4),
    )


@contextmanager
def opened(run: Run, activations: ActivationReader) -> Iterator[Reference]:
    """Open the embeddings that the configuration names, checked.

    Raises
    ------
    InputError
        If they do not belong to the images of the run.
    """
    options = run.config.monosemanticity
    if options.images is not None:
        with run.ranks.together():
            reference = _of_array(run, options.images, activations)
        yield reference
    elif options.activations is not None:
        with ActivationReader(Path(options.activations).expanduser()) as other:
            ids = activations.read("samples/id")
            if difference := first_difference(ids, other.read("samples/id")):
                raise InputError(
                    f"monosemanticity.activations: {other.path} has other images than "
                    f"{activations.path}: {difference}; give a run that analyses the same"
                )
            yield _of_tap(other, options.tap)
    else:
        yield _of_tap(activations, options.tap)


def _of_array(run: Run, place: str, activations: ActivationReader) -> Reference:
    """Return embeddings of a file that has a row for every image of the data set."""
    array = RowsOfArray(place, IMAGES)
    array.require_rows(len(run.subject.images.labels), OF_IMAGES)
    ids = activations.read("samples/id")
    return Reference(
        array.shape[1], False, lambda rows: array.read(ids[rows.start : rows.stop]).astype(float)
    )


def _of_tap(activations: ActivationReader, tap: str) -> Reference:
    taps = activations.taps
    name = taps[-1] if tap == "last" else tap
    if name not in taps:
        raise InputError(
            f"monosemanticity.tap: {activations.path} has no tap {tap!r}; {choices(tap, taps)}"
        )
    path = f"taps/{name}/activations"
    width = activations.shape(path)[1]
    return Reference(width, True, lambda rows: activations.read(path, rows).astype(float))


class _Images:
    """Images of this rank, with their embeddings and folds."""

    def __init__(self, run: Run, activations: ActivationReader, reference: Reference) -> None:
        self.run = run
        self.reference = reference
        labels = activations.read("samples/label")
        self.rows = run.ranks.block(len(labels))
        fold = folds.assign(activations.ids_of_originals(), labels, FOLDS)
        self.fold = torch.from_numpy(fold).to(run.device)
        self.mean = run.tensor(np.zeros(reference.width))
        if reference.centred:
            total = self.mean.clone()
            with run.ranks.together():
                for rows in batches(self.rows, run.config.machine.rows):
                    total += self._embeddings(rows).sum(0)
            self.mean = run.ranks.sum(total) / len(labels)

    def similarity(self, concepts: int, weigh: Weigh) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean cosine over pairs of all ranks' images, with its error: (k,) each."""
        run = self.run
        pairs = Pairs(FOLDS, concepts, self.reference.width, run.device)
        with run.ranks.together():
            for rows in batches(self.rows, run.config.machine.rows):
                fold = self.fold[rows.start : rows.stop]
                pairs.add(weigh(rows), self._embeddings(rows), fold)
        with run.clock.phase("communicate"):
            pairs.reduced(run.ranks.sum)
        return pairs.similarity(), jackknife(pairs.without_folds())

    def _embeddings(self, rows: range) -> torch.Tensor:
        with self.run.clock.phase("read"):
            return self.run.tensor(self.reference.read(rows)) - self.mean


def _of_blocks(
    run: Run, codes: RowReader, images: _Images, weigh: Callable[[slice], Weigh]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the similarity of all concepts, with its error: block by block, (K,) each."""
    measured = []
    blocks = batches(range(codes.shape("codes")[1]), TOGETHER)
    for block in run.progress(blocks, "monosemanticity: concepts"):
        weights = weigh(slice(block.start, block.stop))
        measured.append(images.similarity(len(block), weights))
        run.safe_point()
    values = np.concatenate([of_block for of_block, _ in measured])
    return values, np.concatenate([error for _, error in measured])


def _by_code(run: Run, codes: RowReader) -> Callable[[slice], Weigh]:
    """Return weights that are the codes, scaled such that a concept's are from 0 to 1."""
    concepts = codes.shape("codes")[1]
    ends = torch.full((2, concepts), -torch.inf, dtype=torch.float64, device=run.device)
    with run.ranks.together():
        for rows in batches(run.ranks.block(codes.shape("codes")[0]), run.config.machine.rows):
            z = run.tensor(codes.read("codes", rows))
            ends = torch.maximum(ends, torch.stack([z.amax(0), (-z).amax(0)]))
    largest, negative = run.ranks.largest(ends.contiguous())

    def weigh(block: slice) -> Weigh:
        return lambda rows: scaled(
            run.tensor(codes.read("codes", rows))[:, block], -negative[block], largest[block]
        )

    return weigh


def _by_place(run: Run, codes: RowReader) -> Callable[[slice], Weigh]:
    """Return weights that are 1 for the images in which a concept is strongest, else 0."""
    strongest = strongest_images(run, codes, run.config.monosemanticity.strongest).rows
    return lambda block: lambda rows: among(rows, strongest[:, block])


def _ones(run: Run, rows: range) -> torch.Tensor:
    return torch.ones(len(rows), 1, dtype=torch.float64, device=run.device)


def _width(work: Workload) -> int:
    """Return how many numbers an embedding has, as far as that is known."""
    options = work.config.monosemanticity
    if options.images is not None:
        try:
            return RowsOfArray(options.images, IMAGES).shape[-1]
        except InputError:  # the stage says what is wrong
            return 0
    widths = work.sizes.widths
    return widths.get(options.tap, list(widths.values())[-1])
