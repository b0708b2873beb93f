"""V-information of every concept at several taps, computed by all ranks together.

Rows stay on their rank: the moments are summed, the factorisations shared out, the concepts
divided. The codes, larger than any tap, are read once for as many taps as have room for their sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from vinfo_mpi.concepts import regressions
from vinfo_mpi.concepts.regressions import Learning, whole
from vinfo_mpi.errors import InputError
from vinfo_mpi.numerics import folds, ridge
from vinfo_mpi.numerics.moments import FoldedCodes, Moments
from vinfo_mpi.numerics.ridge import Scores
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches, fitting
from vinfo_mpi.parallel.prefetch import ahead
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader
from vinfo_mpi.storage.partial_results import PartialResults
from vinfo_mpi.storage.rows import RowReader, Rows

if TYPE_CHECKING:
    from vinfo_mpi.numerics.fourier import RandomFeatures

Estimator = Literal["held-out", "in-sample"]
BLOCKS_AHEAD = 1  # blocks of rows that are read ahead of the sums
SUMMED_BY_GPU = 4  # blocks of machine.rows rows that a GPU adds together
# Bytes that the sums of taps that are read together may take, where the plan does not say; one tap
# always may.
TOGETHER = {"cpu": 2**30, "cuda": 2**32}


@dataclass(frozen=True)
class Source:
    """Source of activations: a tap, or a branch, of one checkpoint."""

    file: RowReader
    tap: str

    @property
    def name(self) -> str:
        """The dataset."""
        return f"taps/{self.tap}/activations"

    @property
    def width(self) -> int:
        """Number of channels d."""
        return self.file.shape(self.name)[1]


def same_images(codes: Rows, *activations: RowReader) -> None:
    """Raise `InputError` unless row i of all files is the same image."""
    ids = codes.read("samples/id")
    for file in activations:
        if not np.array_equal(file.read("samples/id"), ids):
            raise InputError(
                f"{file.path} and {codes.path} contain different images (has the data set "
                "changed?); run vinfo_mpi.extract --force"
            )


def fold_of_rows(run: Run, codes: Rows, *activations: ActivationReader) -> torch.Tensor:
    """Return the fold of each of this rank's rows: (n,) int64.

    Raises
    ------
    InputError
        Unless all files contain the same images.
    """
    same_images(codes, *activations)
    ids = activations[-1].ids_of_originals()
    labels = activations[-1].read("samples/label")
    fold = folds.assign(ids, labels, run.config.score.folds, run.config.seed)
    rows = run.ranks.block(len(ids))
    return torch.from_numpy(fold[rows.start : rows.stop]).to(run.device)


def for_each_source(
    run: Run,
    partial_results: PartialResults,
    sources: Mapping[str, Source],
    codes: Rows,
    make: Callable[[list[Source]], Iterable[dict[str, np.ndarray]]],
    beside: int = 0,
) -> list[Mapping[str, np.ndarray]]:
    """Return what belongs to each source, in order.

    It is what an ended job has left, or is made anew, group by group.

    Parameters
    ----------
    run : Run
    partial_results : PartialResults
    sources : dict of str to Source
        By the name of its partial result.
    codes : Rows
    make : function of some of the sources
        Gives what belongs to each of them, one after the other.
    beside : int
        Random features that are summed as well.
    """
    stage = partial_results.stage
    results: dict[str, Mapping[str, np.ndarray]] = {}
    for name in sources:
        result = partial_results.read(name)
        if result is not None:
            results[name] = result
    missing = [name for name in sources if name not in results]
    if results:
        log.info("%s: %d taps reused, %d new", stage, len(results), len(missing))
    widths = [sources[name].width for name in missing]
    concepts = codes.shape("codes")[1]
    groups = together(widths, run.config.score.folds, concepts, room(run), beside)
    with run.bar(f"{stage}: taps", len(missing)) as bar:
        for group in groups:
            names = missing[group.start : group.stop]
            made = make([sources[name] for name in names])
            for name, values in zip(names, made, strict=True):
                results[name] = partial_results.keep(name, values)
                bar.update()
                run.safe_point()
    return [results[name] for name in sources]


def scores(
    run: Run,
    moments: Sequence[Moments],
    estimator: Estimator | None = None,
    learning: Learning = whole,
) -> Iterator[Scores]:
    """Yield the scores of all concepts with each of several moments, on every rank.

    Parameters
    ----------
    run : Run
    moments : sequence of Moments
        From `moments_of`.
    estimator : str
        Default: score.estimator.
    learning : function of moments and what is held out
        See `regressions.scores`.
    """
    options = run.config.score
    splits = ridge.splits(options.folds, estimator or options.estimator)
    penalties = tuple(options.penalties)
    return regressions.scores(
        moments, splits, penalties, run.ranks, learning=learning, phase=run.clock.phase
    )


def scores_of_sources(
    run: Run,
    partial_results: PartialResults,
    sources: Mapping[str, Source],
    codes: Rows,
    fold: torch.Tensor,
) -> list[Scores]:
    """Return the scores of all concepts at every source; parameters as `for_each_source`."""

    def make(group: list[Source]) -> Iterator[dict[str, np.ndarray]]:
        return map(asdict, scores(run, moments_of(run, group, codes, fold)))

    results = for_each_source(run, partial_results, sources, codes, make)
    return [Scores(**values) for values in results]


def moments_of(
    run: Run,
    sources: Sequence[Source],
    codes: Rows,
    fold: torch.Tensor | None = None,
    features: Sequence[RandomFeatures] | None = None,
) -> list[Moments]:
    """Return the moments of all rows at several taps, for this rank's concepts.

    They come from one pass over this rank's rows.

    Parameters
    ----------
    run : Run
    sources : sequence of Source
    codes : Rows
    fold : (n,) tensor
        Fold of each of this rank's rows; default: one fold of all rows, with float64 products
        whatever score.products is.
    features : sequence of RandomFeatures
        What to look at instead of the channels of each tap.
    """
    n, concepts = codes.shape("codes")
    if fold is None:
        fold = torch.zeros(len(run.ranks.block(n)), dtype=torch.int64, device=run.device)
        count = 1
        products = torch.float64
    else:
        count = run.config.score.folds
        products = getattr(torch, run.config.score.products)
    widths = [source.width for source in sources]
    if features:
        widths = [width + len(more.phases) for width, more in zip(widths, features, strict=True)]
    moments = [Moments(count, width, concepts, run.device) for width in widths]

    _add_rows(run, moments, sources, codes, fold, FoldedCodes(count, products), features)
    concepts_of_rank = run.ranks.block(concepts)
    with run.clock.phase("communicate"):
        # One after the other, so that of one tap at a time two states are held.
        return [
            moments.pop(0).reduced(run.ranks.sum, run.ranks.reduce_scatter, concepts_of_rank)
            for _ in sources
        ]


def _add_rows(
    run: Run,
    moments: list[Moments],
    sources: Sequence[Source],
    codes: Rows,
    fold: torch.Tensor,
    folded: FoldedCodes,
    features: Sequence[RandomFeatures] | None,
) -> None:
    """Add this rank's rows to the moments of every source, block by block, read ahead."""
    rows = run.ranks.block(codes.shape("codes")[0])

    def read(block: range) -> list[torch.Tensor]:
        arrays = [codes.read("codes", block)]
        arrays += [source.file.read(source.name, block) for source in sources]
        fold_of_block = fold[block.start - rows.start : block.stop - rows.start]
        return [fold_of_block, *(torch.from_numpy(array).to(run.device) for array in arrays)]

    size = rows_at_once(run.config.machine.rows, run.device.type)
    blocks = ahead(map(read, batches(rows, size)), BLOCKS_AHEAD, run.device)
    for fold_of_block, z, *taps in run.clock.each("read", blocks):
        with run.clock.phase("moments"):
            folded.take(z, fold_of_block)
            for number, (moments_of_tap, x) in enumerate(zip(moments, taps, strict=True)):
                moments_of_tap.add_with(features[number](x) if features else x, folded)


def rows_at_once(rows: int, device: str) -> int:
    """Return how many rows are added together, where machine.rows is `rows`: more on a GPU."""
    return rows * (SUMMED_BY_GPU if device == "cuda" else 1)


def room(run: Run) -> float:
    """Return the bytes that the sums of taps that are read together may take."""
    return run.room or TOGETHER[run.device.type]


def together(
    widths: Sequence[int], folds: int, concepts: int, room: float, beside: int = 0
) -> list[range]:
    """Return which of several taps next to each other are read together.

    As many as have room, in bytes, for their sums. With random features `beside` them there are
    sums of both families.
    """
    sizes = [Moments.bytes(folds, width, concepts) for width in widths]
    if beside:
        both = zip(sizes, widths, strict=True)
        sizes = [size + Moments.bytes(folds, width + beside, concepts) for size, width in both]
    return fitting(sizes, int(room))
