"""How alike the layers of two networks are: debiased CKA of every pair of taps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from vinfo_mpi.comparison.study import Study
from vinfo_mpi.concepts import vinformation
from vinfo_mpi.concepts.vinformation import Source
from vinfo_mpi.numerics.hsic import Hsic, cka
from vinfo_mpi.parallel.partition import batches, fitting

Pair = tuple[int, int]


def layer_cka(first: Study, second: Study) -> np.ndarray:
    """Return the debiased CKA of every tap of a run with every tap of another: (L, M) float64."""
    taps = range(len(first.activations.taps))
    others = range(len(second.activations.taps))
    of_both = _hsic(first, second, [(tap, other) for tap in taps for other in others])
    of_first = _hsic(first, first, [(tap, tap) for tap in taps])
    of_second = _hsic(second, second, [(other, other) for other in others])
    return np.array(
        [
            [
                cka(of_both[tap, other], of_first[tap, tap], of_second[other, other])
                for other in others
            ]
            for tap in taps
        ]
    )


def _hsic(first: Study, second: Study, pairs: list[Pair]) -> dict[Pair, float]:
    """Return the HSIC of pairs of taps, as many in a pass as have room for their sums."""
    xs = _sources(first)
    ys = _sources(second)
    sizes = [Hsic.bytes(xs[tap].width, ys[other].width) for tap, other in pairs]
    values: dict[Pair, float] = {}
    for group in fitting(sizes, int(vinformation.room(first.run))):
        some = pairs[group.start : group.stop]
        x_means = _means(first, {tap for tap, _ in some})
        y_means = _means(second, {other for _, other in some})
        sums = {pair: Hsic(xs[pair[0]].width, ys[pair[1]].width, first.run.device) for pair in some}
        for rows in _blocks(first):
            x = {tap: _read(first, xs[tap], rows) - mean for tap, mean in x_means.items()}
            y = {tap: _read(second, ys[tap], rows) - mean for tap, mean in y_means.items()}
            for (tap, other), sums_of_pair in sums.items():
                sums_of_pair.add(x[tap], y[other])
        for pair in some:
            values[pair] = sums.pop(pair).reduced(first.run.ranks.sum)
            first.run.safe_point()
    return values


def _means(study: Study, taps: Iterable[int]) -> dict[int, torch.Tensor]:
    """Return the mean over all images of every channel of some taps."""
    sources = _sources(study)
    sums = {
        tap: torch.zeros(sources[tap].width, dtype=torch.float64, device=study.run.device)
        for tap in sorted(taps)
    }
    for rows in _blocks(study):
        for tap, total in sums.items():
            total += _read(study, sources[tap], rows).sum(0)
    return {tap: study.run.ranks.sum(total) / study.images for tap, total in sums.items()}


def _sources(study: Study) -> list[Source]:
    return [Source(study.activations, tap) for tap in study.activations.taps]


def _blocks(study: Study) -> Iterator[range]:
    run = study.run
    return iter(batches(run.ranks.block(study.images), run.config.machine.rows))


def _read(study: Study, source: Source, rows: range) -> torch.Tensor:
    return study.run.tensor(source.file.read(source.name, rows))
