"""Similarity of the layers of two networks: debiased CKA of every pair of taps."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from vinfo_mpi.comparison.study import Study
from vinfo_mpi.concepts import vinformation
from vinfo_mpi.concepts.vinformation import Source
from vinfo_mpi.numerics.hsic import Hsic, cka
from vinfo_mpi.parallel.partition import batches, fitting

Pair = tuple[int, int]


def layer_cka(
    first: Study, second: Study, of_first: list[float], of_second: list[float]
) -> np.ndarray:
    """Return the debiased CKA of every tap of a run with every tap of another: (L, M) float64.

    Parameters
    ----------
    first, second : Study
    of_first, of_second : list of float
        From `hsic_of_taps`.
    """
    pairs = [(tap, other) for tap in range(len(of_first)) for other in range(len(of_second))]
    of_both = _hsic(first, second, pairs)
    values = [cka(of_both[tap, other], of_first[tap], of_second[other]) for tap, other in pairs]
    return np.array(values).reshape(len(of_first), len(of_second))


def hsic_of_taps(study: Study) -> list[float]:
    """Return the HSIC of every tap of a run with itself."""
    return list(_hsic(study, study, [(tap, tap) for tap in range(len(_sources(study)))]).values())


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


def _blocks(study: Study) -> list[range]:
    run = study.run
    return batches(run.ranks.block(study.images), run.config.machine.rows)


def _read(study: Study, source: Source, rows: range) -> torch.Tensor:
    return study.run.tensor(source.file.read(source.name, rows))
