"""Shortcut bias: do decisions follow a planted factor more than the training images warrant?

On images with crossed factors, beside what the network makes available before any training.

mpirun -n 8 python -m vinfo_mpi.analyses.bias
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("bias", __doc__)

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import torch

from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.formulas import NUMBER
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.data import datasets, planted
from vinfo_mpi.data.loading import Loader
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.networks import readout, taps
from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.networks.taps import Reading
from vinfo_mpi.numerics import folds, ridge, shortcut_bias
from vinfo_mpi.numerics.complexity import jackknife
from vinfo_mpi.numerics.moments import Moments
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.parallel.prefetch import AHEAD
from vinfo_mpi.results import schema_bias as schema
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.run.applicable import require_classifier
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run

PROBES = 2048  # images with crossed factors, 128 of each combination
FOLDS = 5
PAIRS = [pair for pair in combinations(planted.BITS, 2) if len({*map(planted.BITS.get, pair)}) == 1]
Values = dict[Dataset, Any]


def measure_bias(run: Run, part: Part) -> None:
    """Write how decisions and optimum follow every factor, and how available it was."""
    if run.config.data.source != "planted":
        raise NotApplicable("bias needs images whose factors can be crossed: data.source: planted")
    require_classifier(run, "bias")
    probes = _Probes(run)
    results: Values = {
        schema.BIAS_BITS: planted.BIT_NAMES,
        schema.BIAS_FACTORS: [*planted.BITS],
        **_reliance(run, probes),
        **_availability(run, probes),
    }
    columns = (results[each] for each in (schema.PAIRS, schema.BIAS, schema.BIAS.se))
    for name, value, of_value in zip(*columns, strict=True):
        log.info("bias: %s, beyond the optimum: %.3f ± %.3f", name, value, of_value)
    part.write(results)


def costs(work: Workload) -> Costs:
    """Return what two networks take to look at the probes, and regressions on one of them."""
    if work.config.data.source != "planted":
        return Costs()
    sizes = work.sizes
    batch = work.sizes.batch
    in_flight = formulas.images_in_flight(work, batch, AHEAD)
    widest = max(sizes.widths.values())
    regression = 2 * Moments.bytes(FOLDS, widest, len(planted.BITS)) + 3 * NUMBER * widest**2
    vectors = NUMBER * PROBES * (sum(sizes.widths.values()) / work.ranks + widest)
    optima = 2 * NUMBER * shortcut_bias.DRAWS * PROBES
    return Costs(
        memory=sizes.weights + sizes.forward + in_flight + regression,
        host=sizes.weights + in_flight + 2 * max(vectors, optima),
        operations=2.0 * PROBES * sizes.operations
        + sum(2.0 * PROBES * width**2 + 40.0 * FOLDS * width**3 for width in sizes.widths.values()),
    )


def _reliance(run: Run, probes: _Probes) -> Values:
    """Return how the bits that the network and the optimum predict go with every factor."""
    images = run.subject.images
    learned = images.training(run.config.train.per_class, run.config.seed, run.subject.skipped)
    factors = np.stack([images.factors[name][learned] > 0 for name in planted.BITS], axis=1)
    counts = shortcut_bias.count(planted.bits(images.labels[learned]), factors)
    optima = shortcut_bias.optima(counts, probes.factors, run.config.seed)
    decisions = shortcut_bias.signs(planted.bits(probes.predictions(run.final)))
    reliance, error = shortcut_bias.reliance(decisions, probes.factors)
    names = [*planted.BITS]
    biases = [
        shortcut_bias.bias(
            decisions[:, planted.BITS[first]],
            optima[:, :, planted.BITS[first]],
            probes.factors[:, names.index(first)],
            probes.factors[:, names.index(second)],
        )
        for first, second in PAIRS
    ]
    return {
        schema.PREDICTIVITY: shortcut_bias.predictivity(counts),
        schema.RELIANCE: reliance,
        schema.RELIANCE.se: error,
        schema.OPTIMUM: shortcut_bias.reliance(optima.mean(0), probes.factors)[0],
        schema.PAIRS: [f"{first} over {second}" for first, second in PAIRS],
        schema.BIAS: [value for value, _ in biases],
        schema.BIAS.se: [error for _, error in biases],
    }


def _availability(run: Run, probes: _Probes) -> Values:
    """Return the V-information of every factor at the taps of the network before its training."""
    fold = folds.assign(np.arange(PROBES), np.zeros(PROBES), FOLDS, run.config.seed)
    z = probes.factors.astype(np.float64)
    at_taps = probes.vectors()
    names = run.ranks.allgather([*at_taps])[0]
    of_rank = {}
    for number, name in enumerate(names):
        with run.clock.phase("communicate"):
            of_ranks = run.ranks.allgather(at_taps.get(name))
        x = np.concatenate([vectors for vectors in of_ranks if vectors is not None])
        if number % run.ranks.size == run.ranks.rank:
            with run.clock.phase("solve"):
                scores = ridge.r2(run.tensor(x), run.tensor(z), fold)
            of_rank[number] = (scores.r2, jackknife(scores.without))
    scored = run.ranks.union(of_rank)
    of_taps = [scored[number] for number in range(len(names))]
    return {
        schema.BIAS_TAPS: names,
        schema.AVAILABILITY: np.stack([value for value, _ in of_taps]),
        schema.AVAILABILITY.se.filled(folds=str(FOLDS)): np.stack([error for _, error in of_taps]),
    }


class _Probes:
    """Images with crossed factors, in batches that are the same whatever the number of ranks."""

    def __init__(self, run: Run) -> None:
        self.run = run
        values = planted.crossed(PROBES, run.config.seed)
        self.factors = np.stack([values[name] > 0 for name in planted.BITS], axis=1)
        images = datasets.crossed(run.config.data, run.config.seed, values)
        self.loader = Loader(images, run.subject.preprocessing, run.device)
        blocks = batches(range(PROBES), run.batch)
        mine = run.ranks.block(len(blocks))
        self.batches = [
            np.arange(block.start, block.stop) for block in blocks[mine.start : mine.stop]
        ]

    def predictions(self, checkpoint: Checkpoint) -> np.ndarray:
        """Return the classes that a checkpoint predicts: (PROBES,) int64."""
        network = self.run.config.network
        predicted = [
            readout.predictions(reading.outputs, network).cpu().numpy()
            for reading in self._readings(checkpoint)
        ]
        return self.run.ranks.concatenate(np.concatenate([np.empty(0, np.int64), *predicted]))

    def vectors(self) -> dict[str, np.ndarray]:
        """Return what every tap gives of this rank's probes before training: (n, d) arrays.

        Nothing where there are more ranks than batches.
        """
        readings = [
            {name: values.cpu().numpy() for name, values in reading.pooled.items()}
            for reading in self._readings(None)
        ]
        names = readings[0] if readings else {}
        return {name: np.concatenate([each[name] for each in readings]) for name in names}

    @torch.no_grad()
    def _readings(self, checkpoint: Checkpoint | None) -> Iterator[Reading]:
        run = self.run
        network = run.subject.network(checkpoint)
        blank = next(network.parameters()).new_zeros(1, *run.subject.preprocessing.shape)
        at = taps.find(network, run.config.extract, blank)
        for images, _, _ in self.loader.batches(self.batches):
            with run.clock.phase("network"):
                yield taps.read(network, at, images, run.config.extract)
