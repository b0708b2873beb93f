"""What each stage moves and multiplies, and how long that takes on a machine: the formulas of `vinfo_mpi.costs`, and what they
leave out, the traffic between processor and memory, files that are read, small operations.

A stage does one thing after the other, so that its times add; extraction reads, computes and writes at the same time, so that
the longest of them counts where they do not share processors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.machine import RESOURCES, Machine
from vinfo_mpi.concepts.vinformation import together
from vinfo_mpi.config.schema import Config
from vinfo_mpi.costs import communication, disk, memory, operations
from vinfo_mpi.costs.operations import TYPICAL
from vinfo_mpi.costs.sizes import Sizes
from vinfo_mpi.numerics import grouped_rows, nmf, nndsvd, nnls

Work = dict[str, float]  # of one rank, by resource; files and network: of all ranks together

IMAGE = 110e3  # bytes of a file of ImageNet, mean
GRID = "grid of taps and checkpoints"  # of sedimentation
SMALL_FILES = 5  # that a stage opens, at least
KERNELS = 600  # small operations of a forward pass with its taps: as many for any number of images


@dataclass(frozen=True)
class Estimate:
    """What a stage takes.

    Attributes
    ----------
    stage : str
    parts : dict of str to float
        Seconds by resource.
    at_once : bool
        Whether these pass at the same time.
    memory : float
        Bytes per rank.
    read, written, communicated : float
        Bytes of all ranks together.
    """

    stage: str
    parts: dict[str, float]
    at_once: bool
    memory: float
    read: float
    written: float
    communicated: float

    @property
    def seconds(self) -> float:
        """Time of the stage."""
        return max(self.parts.values()) if self.at_once else sum(self.parts.values())

    @property
    def limit(self) -> str:
        """What takes longest."""
        name, longest = max(self.parts.items(), key=lambda part: part[1])
        share = 1.0 if self.at_once else longest / max(self.seconds, 1e-300)
        return RESOURCES[name] + (f" ({share:.0%})" if share < 0.9 else "")


def estimate(
    machine: Machine,
    sizes: Sizes,
    config: Config,
    ranks: int,
    iterations: Mapping[str, float] = TYPICAL,
    networks_at_once: int = 1,
) -> list[Estimate]:
    """Return what every main stage but the training takes, and flow and sedimentation's grid, which are like score.

    `networks_at_once` is how many checkpoints look at an image once it is read: one, as it is done.
    """
    products, sent = operations.of(sizes, config, iterations), communication.of(sizes, config, ranks, iterations)
    grid = memory.vinformation(sizes, config, ranks, [*sizes.widths.values()] * sizes.checkpoints)
    held, stored = memory.of(sizes, config, ranks) | {GRID: grid}, disk.of(sizes, config, ranks, True)
    written = {"extract": stored["activations"], "encode": stored["codes"]}
    found = []
    for stage, (work, read) in _works(sizes, config, ranks, iterations, networks_at_once, machine).items():
        matrix = "forward" if stage == "extract" else "matrix"
        opens = SMALL_FILES + len(_taps(sizes, stage))
        product, bytes_sent = (part["score"] * sizes.checkpoints if stage == GRID else part[stage] for part in (products, sent))
        # A factor is sent by one rank and reaches all; half, because what is summed passes twice.
        passed = bytes_sent + sum(
            communication.factors(ranks, d, config.score.folds) * (ranks - 1) / 2 for d in _taps(sizes, stage)
        )
        work = {"opens": opens, matrix: product / ranks, "network": passed, "files": read + written.get(stage, 0.0)} | work
        work["rows"] = (written.get(stage, 0.0) + (read if stage != "extract" else 0.0)) / ranks  # no checksums of images
        parts = {name: machine.seconds(name, amount, ranks) for name, amount in work.items() if amount}
        needs = held[stage]
        found.append(
            Estimate(stage, parts, machine.at_once and stage == "extract", needs, read, written.get(stage, 0.0), bytes_sent)
        )
    return found


def _works(
    sizes: Sizes, config: Config, ranks: int, iterations: Mapping[str, float], networks_at_once: int, machine: Machine
) -> dict[str, tuple[Work, float]]:
    """Return, for every stage, work beside products, sent and written bytes; and the bytes that it reads."""
    n = sizes.n
    image = IMAGE if config.data.source == "folder" else 0.0
    stages: dict[str, tuple[Work, float]] = {}
    looks = n * sizes.checkpoints / networks_at_once
    row = sum(column.row_bytes for column in disk.layout(sizes, config).columns().values())
    stages["extract"] = (
        {
            "decode": looks / ranks,
            "calls": KERNELS * n / ranks / config.machine.batch * sizes.checkpoints,
            "transfer": 3 * sizes.size**2 * looks / ranks + 2 * row * n * sizes.checkpoints / ranks,
        },
        image * looks,
    )
    stages["dictionary"] = _dictionary(sizes, config, ranks, iterations["dictionary"], machine)
    stages["encode"] = _encode(sizes, config, ranks, iterations["encode"])
    codes = 8.0 * sizes.concepts * n
    calls = 15 * n / ranks / config.machine.rows
    stages["importance"] = {"bandwidth": 14 * codes / ranks, "calls": calls, "transfer": codes / ranks}, codes
    of_taps = ("score", "dynamics", "flow", GRID) if "flow" in config.chosen_analyses else ("score", "dynamics")
    return stages | {stage: _scores(sizes, config, ranks, _taps(sizes, stage), machine) for stage in of_taps if _taps(sizes, stage)}


def _taps(sizes: Sizes, stage: str) -> list[int]:
    """Return the widths of the taps at which a stage finds V-information."""
    widths = [*sizes.widths.values()]
    return {
        "score": widths,
        "dynamics": sizes.checkpoints * widths[-1:] if sizes.checkpoints > 1 else [],
        "flow": [*sizes.branches.values()],
        GRID: sizes.checkpoints * widths,
    }.get(stage, [])


def _dictionary(sizes: Sizes, config: Config, ranks: int, iterations: float, machine: Machine) -> tuple[Work, float]:
    rows, d, g, k = sizes.n * sizes.positions / ranks, sizes.d, sizes.groups, sizes.concepts // sizes.groups
    item = np.dtype(config.extract.dtype).itemsize
    converted = rows * d * (item + 8 + 2 * 8)  # to float64, which two products read
    # A column that is improved needs those of its block; a block needs all of them once. That over the atoms, every rank does.
    sweep = nmf.SWEEPS * k * (min(k, nmf.ROWS) + k / nmf.ROWS + 3)
    codes, atoms = 8 * rows * (sweep + 6 * k), 8 * g * d * (sweep + 8 * k)
    passes = 3 if nndsvd.products_first(g, d, k) else nndsvd.ITERATIONS + 3
    block = grouped_rows.BLOCK[machine.device]
    groups = min(g, g // ranks + 1)  # images in the order of their classes, as in a folder: a rank has few of them
    parts, batches = groups * max(1, np.ceil(rows / groups / block)), np.ceil(rows / block)
    sums = g * k * (d + k)
    work = {
        "bandwidth": iterations * (converted + codes + atoms) + passes * converted + 4 * item * rows * d,
        "calls": iterations * (parts + (batches + 1) * (10 + 3 * nmf.SWEEPS * k)) + passes * (parts + 4 * batches),
        "decomposition": passes * 4.0 * g * d * (k + nndsvd.OVERSAMPLING) ** 2,
        "transfer": item * rows * d + (2 * 8 * sums * iterations if ranks > 1 else 0.0),
        "messages": iterations if ranks > 1 else 0.0,
    }
    return work, item * rows * ranks * d


def _encode(sizes: Sizes, config: Config, ranks: int, iterations: float) -> tuple[Work, float]:
    d, k, item = sizes.d, sizes.concepts, np.dtype(config.extract.dtype).itemsize
    together = 1 if config.encode.positions == "pooled" else sizes.positions
    images = sizes.n / ranks
    vectors, block = images * together, min(images, max(1, config.machine.rows // sizes.positions)) * together
    rank = min(k, d)
    step = (
        8 * (15 * k + 3 * rank) + 8 * 25 * k / nnls.CHECK
    )  # numbers read and written beside the products', and to look who is done
    work = {
        "bandwidth": vectors * (iterations * step + 8 * (10 * k + 12 * d)),
        "calls": vectors / block * (2 * iterations * 15 + 60),  # the last vector of a block takes about twice the mean
        "decomposition": 6.0 * k * rank**2 + 20.0 * rank**3,  # every rank for itself
        "transfer": item * images * sizes.positions * d + 8 * images * k,
    }
    return work, float(item * sizes.n * sizes.positions * d)


def _scores(sizes: Sizes, config: Config, ranks: int, widths: list[int], machine: Machine) -> tuple[Work, float]:
    """Return work and bytes read of the V-information at taps of these widths."""
    n, k, folds, penalties = sizes.n / ranks, sizes.concepts, config.score.folds, len(config.score.penalties)
    item, rows = np.dtype(config.extract.dtype).itemsize, min(config.machine.rows, n)
    total: Work = dict.fromkeys(("bandwidth", "calls", "decomposition", "transfer", "messages"), 0.0)
    read = 0.0
    for group in together(widths, folds, k, machine.device):
        taps = widths[group.start : group.stop]
        total["bandwidth"] += 8 * 6 * n * k
        total["calls"] += n / rows * (6 * folds + 4)
        total["decomposition"] += -(-len(taps) * folds // ranks) * 9.0 * max(taps) ** 3
        total["transfer"] += n * 8 * k
        read += sizes.n * 8 * k
        for d in taps:
            adding = 16 * (k * d + d * d) * folds * n / rows  # the sums of a fold are read and written for its part of each block
            solving = 8 * 6 * folds * penalties * k / ranks * d
            total["bandwidth"] += 8 * 6 * n * d + adding + solving
            total["calls"] += n / rows * (4 * folds + 6) + 50 * folds
            total["transfer"] += n * item * d + (3 * 8 * folds * (k * d + d * d) if ranks > 1 else 0.0)
            total["messages"] += 2 + folds if ranks > 1 else 0
            read += sizes.n * item * d
    return total, read
