"""Random features of a tap, which score.family and score.also may ask for."""

from __future__ import annotations

import torch

from vinfo_mpi.concepts.vinformation import Source
from vinfo_mpi.numerics import fourier, ridge
from vinfo_mpi.numerics.fourier import RandomFeatures
from vinfo_mpi.numerics.moments import Moments
from vinfo_mpi.run.run import Run

PILOT = 256  # rows from which the width of the random features is measured


def random_features(run: Run, tap: Source, moments: Moments) -> RandomFeatures:
    """Return random features of the standardised tap, the same for any number of ranks."""
    n = moments.n.sum()
    mean = moments.x.sum(0) / n
    mean_square = moments.xx.sum(0).diagonal() / n
    variance = (mean_square - mean.square()).clamp(min=0)
    std = torch.where(variance > ridge.CONSTANT * mean_square, variance, 0).sqrt()
    values = tap.file.file[tap.name]
    pilot = run.ranks.on_root(lambda: values[:: max(1, len(values) // PILOT)][:PILOT])
    count = run.config.score.random_features
    return fourier.make(mean, std, run.tensor(pilot), count, run.config.seed)
