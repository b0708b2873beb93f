"""V-information of every concept at several taps, computed by all ranks together.

Rows stay on their rank: the moments are summed, the factorisations shared out, the concepts divided. The codes, larger than
any tap, are read once for as many taps as have room for their sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from vinfo_mpi.errors import InputError
from vinfo_mpi.numerics import folds, ridge
from vinfo_mpi.numerics.moments import FoldedCodes, Moments
from vinfo_mpi.numerics.ridge import Factor, Scores
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches, fitting
from vinfo_mpi.parallel.prefetch import ahead
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.partial_results import Pieces
from vinfo_mpi.storage.rows import RowReader

if TYPE_CHECKING:
    from vinfo_mpi.numerics.fourier import RandomFeatures

Estimator = Literal["held-out", "in-sample"]
BLOCKS_AHEAD = 1  # blocks of rows that are read ahead of the sums
TOGETHER = {"cpu": 2**30, "cuda": 2**32}  # bytes that the sums of taps that are read together may take; one tap always may


@dataclass(frozen=True)
class Source:
    """Where activations are read: a tap, or a branch, of one checkpoint."""

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


def same_images(codes: RowReader, *activations: RowReader) -> None:
    """Raise `InputError` unless row i of all files is the same image."""
    ids = codes.read("samples/id")
    for one in activations:
        if not np.array_equal(one.read("samples/id"), ids):
            raise InputError(
                f"{one.path} and {codes.path} speak of different images (has the data set changed?); run vinfo_mpi.extract --force"
            )


def fold_of_rows(run: Run, codes: RowReader, *activations: RowReader) -> torch.Tensor:
    """Return the fold of each of this rank's rows; raise `InputError` unless all files speak of the same images."""
    same_images(codes, *activations)
    ids, labels = (activations[-1].read(f"samples/{name}") for name in ("id", "label"))
    fold = folds.assign(ids, labels, run.config.score.folds, run.config.seed)
    rows = run.ranks.block(len(ids))
    return torch.from_numpy(fold[rows.start : rows.stop]).to(run.device)


def of_each(
    run: Run,
    pieces: Pieces,
    sources: Mapping[str, Source],
    codes: RowReader,
    make: Callable[[list[Source]], Iterable[dict[str, np.ndarray]]],
    beside: int = 0,
) -> list[Mapping[str, np.ndarray]]:
    """Return what belongs to each source, in order: what an ended job has left of it, or what is made anew, group by group.

    Parameters
    ----------
    sources : dict of str to Source
        By the name of its piece.
    make : function of some of the sources
        Gives what belongs to each of them, one after the other.
    beside : int
        Random features that are summed as well.
    """
    found = {name: piece for name in sources if (piece := pieces.read(name)) is not None}
    if found:
        log.info("%s: %d taps reused, %d new", pieces.stage, len(found), len(sources) - len(found))
    missing = [name for name in sources if name not in found]
    widths, concepts = [sources[name].width for name in missing], codes.shape("codes")[1]
    with run.bar(f"{pieces.stage}: taps", len(missing)) as bar:
        for group in together(widths, run.config.score.folds, concepts, run.device.type, beside):
            names = missing[group.start : group.stop]
            for name, values in zip(names, make([sources[name] for name in names]), strict=True):
                found[name] = pieces.keep(name, values)
                bar.update()
                run.safe_point()
    return [found[name] for name in sources]


def scores(run: Run, moments: Sequence[Moments], estimator: Estimator | None = None) -> Iterator[Scores]:
    """Yield the scores of all concepts with each of several moments, on every rank; all are factorised at first.

    Parameters
    ----------
    moments : sequence of Moments
        From `moments_of`.
    estimator : str
        Default: score.estimator.
    """
    ranks, options, join = run.ranks, run.config.score, run.ranks.concatenate
    penalties, held_out = tuple(options.penalties), ridge.splits(options.folds, estimator or options.estimator)
    every = [(one, split) for one in moments for split in held_out]
    with run.clock.phase("factorise"):
        factors = {number: ridge.factorise(*every[number]) for number in range(ranks.rank, len(every), ranks.size)}
    numbers = count()
    for one in moments:
        squared = []
        for split, number in zip(held_out, numbers, strict=False):
            with run.clock.phase("communicate"):
                factor = factors.pop(number, None) or Factor.empty(one.x.shape[1], run.device)
                ranks.broadcast(factor.buffer, number % ranks.size)
            with run.clock.phase("solve"):
                squared.append(ridge.errors(factor, one, split, penalties))
        mine = ridge.finish(torch.stack(squared), one, penalties)
        yield Scores(join(mine.r2), join(mine.penalty), join(mine.without, axis=1), join(mine.alive))


def scores_of_each(run: Run, pieces: Pieces, sources: Mapping[str, Source], codes: RowReader, fold: torch.Tensor) -> list[Scores]:
    """Return the scores of all concepts at every source; parameters as `of_each`."""

    def make(group: list[Source]) -> Iterator[dict[str, np.ndarray]]:
        return map(asdict, scores(run, moments_of(run, group, codes, fold)))

    return [Scores(**values) for values in of_each(run, pieces, sources, codes, make)]


def standard_error(without: np.ndarray) -> np.ndarray:
    """Return the jackknife error of a mean over taps or checkpoints: (L, F, K) to (K,)."""
    return ridge.jackknife(without.mean(0))


def moments_of(
    run: Run,
    sources: Sequence[Source],
    codes: RowReader,
    fold: torch.Tensor | None = None,
    features: Sequence[RandomFeatures] | None = None,
) -> list[Moments]:
    """Return the moments of all rows at several taps, for this rank's concepts; one pass over this rank's rows.

    Parameters
    ----------
    sources : sequence of Source
    codes : RowReader
    fold : (n,) tensor
        Fold of each of this rank's rows; default: one fold of all rows, with float64 products whatever score.products is.
    features : sequence of RandomFeatures
        What to look at instead of the channels of each tap.
    """
    n, concepts = codes.shape("codes")
    rows, count, products = run.ranks.block(n), run.config.score.folds, getattr(torch, run.config.score.products)
    if fold is None:
        fold, count, products = torch.zeros(len(rows), dtype=torch.int64, device=run.device), 1, torch.float64
    widths = [one.width + (len(features[number].phases) if features else 0) for number, one in enumerate(sources)]
    moments = [Moments(count, width, concepts, run.device) for width in widths]

    _add_rows(run, moments, sources, codes, fold, FoldedCodes(count, products), features)
    with run.clock.phase("communicate"):
        # One after the other, so that of one tap at a time two states are held.
        own = run.ranks.block(concepts)
        return [moments.pop(0).reduced(run.ranks.sum, run.ranks.sum_scatter, own) for _ in sources]


def _add_rows(
    run: Run,
    moments: list[Moments],
    sources: Sequence[Source],
    codes: RowReader,
    fold: torch.Tensor,
    folded: FoldedCodes,
    features: Sequence[RandomFeatures] | None,
) -> None:
    """Add this rank's rows to the moments of every source, block by block, read ahead."""
    rows = run.ranks.block(codes.shape("codes")[0])

    def read(block: range) -> list[torch.Tensor]:
        values = [codes.read("codes", block), *(one.file.read(one.name, block) for one in sources)]
        return [fold[block.start - rows.start : block.stop - rows.start], *(torch.from_numpy(one).to(run.device) for one in values)]

    blocks = ahead(map(read, batches(rows, run.config.machine.rows)), BLOCKS_AHEAD, run.device)
    for division, z, *taps in run.clock.each("read", blocks):
        with run.clock.phase("moments"):
            folded.of(z, division)
            for number, (one, x) in enumerate(zip(moments, taps, strict=True)):
                one.add_with(features[number](x) if features else x, folded)


def together(widths: Sequence[int], folds: int, concepts: int, device: str, beside: int = 0) -> list[range]:
    """Return which of several taps next to each other are read together: as many as have room for their sums.

    With random features `beside` them there are sums of both families.
    """
    families = (0, beside) if beside else (0,)
    return fitting([sum(Moments.bytes(folds, width + more, concepts) for more in families) for width in widths], TOGETHER[device])
