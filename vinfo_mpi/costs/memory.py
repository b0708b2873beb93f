"""Peak memory per rank."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vinfo_mpi.concepts import selection
from vinfo_mpi.concepts.vinformation import BLOCKS_AHEAD, together
from vinfo_mpi.config.schema import Config
from vinfo_mpi.costs.disk import layout
from vinfo_mpi.costs.sizes import Sizes, shown
from vinfo_mpi.networks.footprint import held
from vinfo_mpi.numerics import embedding, examples, grouped_rows, nndsvd, nnls, ridge
from vinfo_mpi.numerics.moments import Moments
from vinfo_mpi.numerics.spectrum import FOLDS
from vinfo_mpi.pages import sheets
from vinfo_mpi.parallel.prefetch import AHEAD
from vinfo_mpi.storage import codes, row_writer
from vinfo_mpi.storage.rows import batch_rows
from vinfo_mpi.visualisation import optimise

SCIKIT_LEARN = 90 * 2**20  # bytes that the program grows by when K-means and t-SNE are loaded
NEIGHBOURS = 3 * embedding.PERPLEXITY + 1  # of an atom, that scikit-learn's t-SNE keeps
DRAWING = 100 * 2**20  # bytes that the program grows by when figures are drawn
PICTURE = 16  # arrays as large as a picture that changing it takes: parameters, moments, transforms, crops, their gradients
BUCKET = 25 * 2**20  # bytes of gradients that DistributedDataParallel sends at a time


def of(sizes: Sizes, config: Config, ranks: int) -> dict[str, float]:
    """Return the peak memory of each stage, per rank: what the program itself holds, and what the stage adds."""
    widths = [*sizes.widths.values()]
    stages = {
        "train": train(sizes, config, ranks) if sizes.steps_of else 0.0,
        "extract": extract(sizes, config, ranks),
        "dictionary": dictionary(sizes, config, ranks),
        "encode": encode(sizes, config, ranks),
        "score": vinformation(sizes, config, ranks, widths, config.score.beside),
        "importance": importance(sizes, config, ranks),
    }
    if sizes.checkpoints > 1:
        stages["dynamics"] = vinformation(sizes, config, ranks, widths[-1:] * sizes.checkpoints)
    analyses = {
        "flow": lambda: vinformation(sizes, config, ranks, [*sizes.branches.values()]),
        "redundancy": lambda: vinformation(sizes, config, ranks, widths[-1:]),
        "support": lambda: importance(sizes, config, ranks),
        "metafeatures": lambda: metafeatures(sizes),
        "hoyer": lambda: 3.0 * 8 * sizes.concepts * sizes.d,  # the atoms, their absolute values, their squares
        "sparsity": lambda: 3.0 * 8 * _mine(sizes, ranks) * len(sizes.widths),  # shares, differences, their squares
        "spectrum": lambda: spectrum(sizes, config, ranks),
        "robustness": lambda: robustness(sizes, config, ranks),
        "stability": lambda: dictionary(sizes, config, ranks),
        "sedimentation": lambda: max(
            vinformation(sizes, config, ranks, widths * sizes.checkpoints),
            *(stages[name] for name in ("dictionary", "encode", "score", "importance")),
        ),
    }
    stages |= {name: analyses[name]() for name in config.chosen_analyses if name in analyses}
    if "visualise" in config.chosen_pages:
        stages["visualise"] = visualise(sizes, config, ranks)
    if "report" in config.chosen_pages:
        stages["report"] = report(sizes, config, ranks)
    return {name: sizes.base + sizes.remembered + value for name, value in stages.items()}


def train(sizes: Sizes, config: Config, ranks: int) -> float:
    """Return what training adds."""
    images = -(-config.train.batch // ranks)
    waiting = AHEAD if config.train.augment == "none" else 0
    step = sizes.training + _images(sizes, images, waiting) + min(BUCKET, sizes.trainable)
    save = sizes.weights  # a copy while a checkpoint is written
    test = sizes.forward + _images(sizes, config.machine.batch, AHEAD)
    return sizes.weights + 3 * sizes.trainable + max(step, save, test)  # weights, gradients, buckets of them, momentum


def extract(sizes: Sizes, config: Config, ranks: int) -> float:
    """Return what extraction adds."""
    columns = layout(sizes, config, keep_map=True).columns()
    images = min(batch_rows(columns, config.machine.batch), _mine(sizes, ranks))
    row = sum(column.row_bytes for column in columns.values())
    queue = (row_writer.AHEAD + 2) * images * row  # waiting, being written, being made
    return 2 * sizes.weights + sizes.forward + _images(sizes, images, AHEAD) + queue


def dictionary(sizes: Sizes, config: Config, ranks: int) -> float:
    """Return what making the dictionary adds: the factorisation, or sums of products."""
    if config.dictionary.file:
        return 3.0 * 8 * sizes.concepts * sizes.d  # as read, in float64, scaled
    if config.dictionary.source != "nmf":
        return _products(sizes, config, ranks, 1 + sizes.d + sizes.concepts)
    rows, d, k, groups = _mine(sizes, ranks) * sizes.positions, sizes.d, sizes.concepts // sizes.groups, sizes.groups
    x, z = rows * d * np.dtype(config.extract.dtype).itemsize, 8 * rows * k
    block, width = min(grouped_rows.BLOCK["cpu"], rows), min(k + nndsvd.OVERSAMPLING, d)
    data = 1.25 * x + 5 * 8 * rows  # as read, and which values are negative; group, order and what sorts them
    sums = 3 * 8 * groups * k * (d + k)  # being added, of one batch, and being sent
    start = 8 * block * (d + width)  # X in float64, and its products with the subspace
    start += 8 * 8 * groups * d * width  # subspaces, singular vectors, their positive and negative parts
    if nndsvd.products_first(groups, d, k):
        start += 3 * 8 * groups * d**2
    iteration = held(8 * block * d) + 4 * held(8 * block * k)  # X in float64; products, offsets and what improves the codes
    return data + max(start, z + sums + max(iteration, 2 * z))  # 2: in order again, and laid out for the file


def encode(sizes: Sizes, config: Config, ranks: int) -> float:
    """Return what encoding adds."""
    k, d = sizes.concepts, sizes.d
    images = min(batch_rows(codes.columns(k), max(1, config.machine.rows // sizes.positions)), _mine(sizes, ranks))
    rows = images if config.encode.positions == "pooled" else images * sizes.positions
    if config.dictionary.non_negative:
        atoms = 8 * k * (d + 3 * min(k, d))  # and their singular vectors
        together = min(rows, max(nnls.FEWEST, nnls.CACHE // k))
        solver = 3 * held(8 * rows * k) + 12 * held(8 * together * k)  # codes; target, s, y, z, the gradient, ... of open rows
    else:
        atoms, solver, rows = 2 * 8 * k * d, 0.0, images
    vectors = 6 * held(8 * rows * d)  # true, rebuilt, differences, squares
    queue = (row_writer.AHEAD + 2) * images * 8 * (k + 7)
    return atoms + solver + vectors + queue + _head(sizes, config, images)


def vinformation(sizes: Sizes, config: Config, ranks: int, widths: Sequence[int], beside: int = 0) -> float:
    """Return what the V-information at taps, or branches, of so many channels adds, `beside` being random features."""
    n, k, folds, rows = sizes.n, sizes.concepts, config.score.folds, min(config.machine.rows, _mine(sizes, ranks))
    stored, mine, peak = np.dtype(config.extract.dtype).itemsize, -(-k // ranks), 8.0 * 8 * n  # sorting the ids of all images
    predictors = 1 + len(config.score.also)
    for group in together(widths, folds, k, "cpu", beside):
        taps = widths[group.start : group.stop]
        d = max(taps) + beside
        every = [*taps, *(width + beside for width in taps if beside)]  # the sums of all families
        sums = sum(Moments.bytes(folds, width, k) for width in every)
        crossed = 8 * k * folds * d
        batch = 8 * k + stored * sum(taps)  # of one row
        add = sums + (BLOCKS_AHEAD + 2) * held(rows * batch) + 2 * held(8 * rows * k) + 2 * held(8 * rows * d)
        reduce = sums + Moments.bytes(folds, d, 0) + (3 * crossed / ranks if ranks > 1 else 0)
        reduced = sum(Moments.bytes(folds, width, mine) for width in every)
        factor = 8 * (2 * d * d + d)
        factorise = reduced + predictors * -(-len(taps) * folds // ranks) * factor + 8 * held(8 * d * d)
        block = min(mine, max(1, ridge.BLOCK["cpu"] // d))
        errors = reduced + (predictors * -(-len(taps) * folds // ranks) + 1) * factor + 10 * held(8 * block * d)
        peak = max(peak, add, reduce, factorise, errors)
    return 2 * 8 * n + peak  # ids and folds of all images


def importance(sizes: Sizes, config: Config, ranks: int) -> float:
    """Return what importance adds."""
    rows = min(config.machine.rows, _mine(sizes, ranks))
    slopes = 8 * sizes.concepts * (sizes.outputs + 2 * sizes.d)
    return slopes + 6 * held(8 * rows * sizes.concepts) + _head(sizes, config, rows)


def robustness(sizes: Sizes, config: Config, ranks: int) -> float:
    """Return what encoding noisy images adds."""
    noisy = sizes.forward + _images(sizes, config.machine.batch, AHEAD)
    return sizes.weights + noisy + encode(sizes, config, ranks)


def visualise(sizes: Sizes, config: Config, ranks: int) -> float:
    """Return what drawing pictures adds: changing them, their codes, codes of all images, what is drawn, or its spectrum."""
    pictures, side = selection.count(config.visualise, sizes.concepts), config.visualise.size or sizes.size
    together = min(optimise.TOGETHER, config.machine.batch, pictures)
    step = together / config.machine.batch * sizes.backward + together * 3 * side**2 * 4 * PICTURE
    reference = 8.0 * pictures * _mine(sizes, ranks) + 8 * min(pictures, optimise.TOGETHER) * sizes.n
    images = _images(sizes, config.machine.batch, AHEAD) + config.machine.batch * 3 * side**2 * 8 * 4  # and transforms
    return 2 * sizes.weights + reference + 4 * side**2 * pictures + max(step, images, encode(sizes, config, ranks))


def metafeatures(sizes: Sizes) -> float:
    """Return what clusters, map and trees add: scikit-learn, atoms, codes of every class, and neighbours for t-SNE."""
    return SCIKIT_LEARN + 4 * 8 * sizes.concepts * (sizes.d + len(sizes.classes)) + 5 * 16 * sizes.concepts * NEIGHBOURS


def spectrum(sizes: Sizes, config: Config, ranks: int) -> float:
    """Return what the spectrum of the feature map adds: sums of products of features, outputs and targets."""
    d = sizes.d if config.spectrum.taps == "last" else max(sizes.widths.values())
    width = 1 + d + 2 * sizes.outputs
    return (FOLDS + 1) * 8 * width**2 + _products(sizes, config, ranks, width)  # of every fold, and of some together


def report(sizes: Sizes, config: Config, ranks: int) -> float:
    """Return what the report adds: images that show the concepts are chosen, then read, and encoded position by position."""
    k, rows = sizes.concepts, min(config.machine.rows, _mine(sizes, ranks))
    bins = 3 * 8 * k * examples.PER_OCTAVE * examples.OCTAVES  # edges, counts, and these cumulated
    batch = 6 * held(8 * rows * k)  # codes and rows, joined to those so far, sorted, their order
    importance = 3 * 8 * len(sizes.classes) * k
    together, size = sheets.CONCEPTS * shown(config), min(config.report.thumbnail, sizes.size)
    images = 3 * together * 3 * size**2 + _images(sizes, config.machine.batch, AHEAD)
    images += k * shown(config) * sizes.map * (2 + 6 * 8 / ranks)  # heat maps of all concepts; codes of own images
    return DRAWING + importance + max(bins + batch, images + encode(sizes, config, ranks))


def _products(sizes: Sizes, config: Config, ranks: int, width: int) -> float:
    """Return what sums of products of so many variables take: the sums, being added, and their eigenvectors."""
    rows = min(config.machine.rows, _mine(sizes, ranks))
    return 4 * 8 * width**2 + 3 * held(8 * rows * width)


def _mine(sizes: Sizes, ranks: int) -> int:
    """Return the images of the rank that has most."""
    return -(-sizes.n // ranks)


def _images(sizes: Sizes, count: int, waiting: int) -> float:
    """Return the bytes of images on their way: 8-bit batches ahead, and three steps of the normalisation."""
    return count * 3 * sizes.size**2 * (waiting + 2 + 3 * 4)


def _head(sizes: Sizes, config: Config, images: int) -> float:
    """Return what a head that is not linear adds: the network in float64, and its forward pass."""
    share = min(1.0, images / config.machine.batch)
    return 0.0 if sizes.linear else 2 * sizes.weights + 2 * share * sizes.forward
