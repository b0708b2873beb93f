"""Do images, and classes, have codes of their own in which hidden units are on?

How many images share an activation code, how well plain methods tell the class from it, which units
are on or off for nearly all images of a class: in every layer of every checkpoint.

mpirun -n 8 python -m vinfo_mpi.analyses.patterns
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("patterns", __doc__)

from functools import partial
from typing import Any

import numpy as np

from vinfo_mpi.analyses.activation_codes import Codes, words_of_layer
from vinfo_mpi.analyses.coded_images import CodedImages
from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.formulas import NUMBER
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.prefetch import AHEAD
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema_patterns import (
    BITS,
    CATEGORIES,
    CLASS_PATTERNS,
    CODE_LAYERS,
    CODE_REDUNDANCY,
    EQUAL_BITS,
    EQUAL_REDUNDANCY,
    EXCLUSIVE,
    KEPT,
    MEAN_PATTERNS,
    NETWORK_ACCURACY,
    PATTERN_CHECKPOINTS,
    PATTERN_CLASSES,
    RELAXATIONS,
    SPLIT_IMAGES,
    SPLITS,
    TOGETHER,
)
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run

Measured = dict[str, np.ndarray]  # by column
OF_CODES = (CODE_LAYERS, BITS, KEPT, EQUAL_BITS)


def find_patterns(run: Run, part: Part) -> None:
    """Write what the codes of images have in common, and those of classes."""
    run.subject.require_images("patterns")
    measured = []
    for checkpoint in run.progress(run.checkpoints, "patterns: checkpoints"):
        measure = partial(_measure, run, checkpoint)
        measured.append(part.partial_results.get(checkpoint.name, measure))
        run.safe_point()
    part.partial_results.log_reused("checkpoints")
    images = CodedImages.of_run(run, run.final)
    datasets: dict[Dataset, Any] = {
        PATTERN_CHECKPOINTS: [checkpoint.epoch for checkpoint in run.checkpoints],
        SPLITS: [*images.splits],
        SPLIT_IMAGES: [mask.sum() for mask in images.splits.values()],
    }
    datasets |= {dataset: measured[-1][dataset.column] for dataset in OF_CODES}
    over_epochs = [CODE_REDUNDANCY, EQUAL_REDUNDANCY, NETWORK_ACCURACY]
    if images.labelled:
        over_epochs += [*CATEGORIES.values(), *MEAN_PATTERNS.values()]
        datasets[RELAXATIONS] = run.config.patterns.relaxations
        datasets[PATTERN_CLASSES] = images.classes
        datasets[EXCLUSIVE] = np.stack([each[EXCLUSIVE.column] for each in measured])
        for dataset in CLASS_PATTERNS.values():
            datasets[dataset] = measured[-1][dataset.column]
    else:
        log.info("patterns: redundancy alone: the images have no labels, or those of one class")
    for dataset in over_epochs:
        for each in (dataset, dataset.se):
            datasets[each] = np.stack([of_epoch[each.column] for of_epoch in measured])
    redundancy = datasets[CODE_REDUNDANCY][:, 0, -1]
    log.info("patterns: redundancy %.3f at the first checkpoint, %.3f at the last",
             redundancy[0], redundancy[-1])  # fmt: skip
    part.write(datasets)


def costs(work: Workload) -> Costs:
    """Return what codes of some images take, and telling classes by them."""
    sizes = work.sizes
    options = work.config.patterns
    images = min(sizes.n, options.images)
    batch = min(work.sizes.batch, images)
    layers = len(sizes.hidden)
    words = images * layers * words_of_layer(options.bits)
    in_flight = formulas.images_in_flight(work, batch, AHEAD)
    # The codes, and while they are sent; truth values of a layer and their words beside the pass;
    # kept bits as numbers, those that vary, and those learned from.
    codes = 2.0 * NUMBER * words
    telling = 4.0 * NUMBER * images * options.bits
    passes = sizes.weights + 2 * sizes.forward + in_flight
    return Costs(
        memory=max(passes, telling) + codes,
        host=max(sizes.weights + in_flight, telling) + codes,
        operations=sizes.checkpoints * float(images) * sizes.operations,
        sent=work.sent(float(sizes.checkpoints * words)),
    )


def _measure(run: Run, checkpoint: Checkpoint) -> Measured:
    """Return what the codes of a checkpoint's network tell; ranks share out the layers."""
    images = CodedImages.of_run(run, checkpoint)
    codes = Codes(run, checkpoint)
    if not codes.layers:
        raise NotApplicable("patterns: none of the network's modules is a nonlinearity")
    options = run.config.patterns
    equal = min(options.equal_bits, *codes.some.counts)
    of_rank: dict[int, Measured] = {}
    layers = [*range(len(codes.layers)), None]
    with run.clock.phase("codes"):
        for number in range(run.ranks.rank, len(layers), run.ranks.size):
            bits = codes.bits(layers[number])
            told = images.redundancy(codes.hashes(layers[number]), bits[:, :equal])
            if images.labelled:
                told |= images.told_apart(bits, options, run.config.seed)
            of_rank[number] = told
    every = run.ranks.union(of_rank)
    return (
        images.accuracy()
        | _joined([every[number] for number in range(len(layers))])
        | {
            CODE_LAYERS.column: np.array([name.encode() for name in [*codes.layers, TOGETHER]]),
            BITS.column: np.array([*codes.sizes, sum(codes.sizes)]),
            KEPT.column: np.array(codes.some.counts),
            EQUAL_BITS.column: np.array(equal),
        }
    )


def _joined(layers: list[Measured]) -> Measured:
    """Return what was measured in each layer side by side, of single classes in all together."""
    single = {dataset.column for dataset in CLASS_PATTERNS.values()}
    of_splits = {
        each.column
        for dataset in (CODE_REDUNDANCY, EQUAL_REDUNDANCY)
        for each in (dataset, dataset.se)
    }
    return {
        column: last
        if column in single
        else np.stack([layer[column] for layer in layers], 1 if column in of_splits else 0)
        for column, last in layers[-1].items()
    }
