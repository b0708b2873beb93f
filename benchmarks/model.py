"""What each stage moves and multiplies, and how long that takes on a machine.

That is what the plan says of the stages (`costs` of each), and what it leaves out: the traffic
between processor and memory, files that are read, small operations. A stage does one thing after
the other, so that its times add; extraction reads, computes and writes at the same time, so that
the longest of them counts where they do not share processors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from benchmarks.machine import RESOURCES, Machine
from vinfo_mpi.concepts import encoders_costs, predictors, vinformation_costs
from vinfo_mpi.concepts.vinformation import TOGETHER, together
from vinfo_mpi.costs.sizes import Sizes
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.numerics import grouped_rows, nmf_updates, nndsvd, nnls, pivoting, working_sets
from vinfo_mpi.pipeline.plan import costs_of_stages
from vinfo_mpi.stages.extract import planned_layout

Amounts = dict[str, float]  # of one rank, by resource; files and network: of all ranks together

IMAGE = 110e3  # bytes of a file of ImageNet, mean
GRID = "grid of taps and checkpoints"  # of sedimentation
STAGES = ("extract", "dictionary", "encode", "importance", "score", "dynamics")
SMALL_FILES = 5  # that a stage opens, at least
# Of working sets: passes of a look, or of a factorisation, over its numbers (on a GPU as many as
# operations that are called, and sorting); factorisations of a row, measured: 14 to 16. On a GPU
# small operations of a look, of a factorisation, and of each part of the rows, as tests/device
# counts them; how often the slowest row of a block does what the mean row does (1.5 and 2 times
# among 1,000 rows).
PASSES = {"cpu": 10, "cuda": 30}
EXCHANGES = 15
OF_LOOK = 96
OF_EXCHANGE = 73
OF_PART = 40
SLOWEST = 3
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
        name, longest = max(self.parts.items(), key=lambda resource: resource[1])
        share = 1.0 if self.at_once else longest / max(self.seconds, 1e-300)
        return RESOURCES[name] + (f" ({share:.0%})" if share < 0.9 else "")


def estimate(machine: Machine, work: Workload) -> list[Estimate]:
    """Return what every main stage but the training takes, and flow and sedimentation's grid.

    These two are like score.
    """
    costs = _planned(work)
    estimates = []
    for stage, (beside, read) in _beside_the_plan(machine, work).items():
        plan = costs[stage]
        kind = {"extract": "activations", "encode": "codes"}.get(stage, "")
        written = plan.disk.get(kind, 0.0)
        # A factor is sent by one rank and reaches all; half, because what is summed passes twice.
        reaching_all = sum(
            vinformation_costs.sent_factors(work, d, work.config.score.folds) * (work.ranks - 1) / 2
            for d in _taps(work.sizes, stage)
        )
        amounts = {
            "opens": SMALL_FILES + len(_taps(work.sizes, stage)),
            _operations_of(stage, work): plan.operations / work.ranks,
            "network": plan.sent + reaching_all,
            "files": read + written,
        } | beside
        checked = written if stage == "extract" else written + read  # no checksums of images
        amounts["rows"] = checked / work.ranks
        seconds = {
            name: machine.seconds(name, amount, work.ranks)
            for name, amount in amounts.items()
            if amount
        }
        at_once = machine.at_once and stage == "extract"
        estimates.append(Estimate(stage, seconds, at_once, plan.memory, read, written, plan.sent))
    return estimates


def _operations_of(stage: str, work: Workload) -> str:
    """Return the rate at which a stage computes: the network's, in its precision, or products'."""
    if stage != "extract":
        return "matrix"
    precision = work.config.extract.precision
    return "forward" if precision == "float32" else f"forward_{precision}"


def _planned(work: Workload) -> dict[str, Costs]:
    """Return what the plan says of every stage, with the memory of the program; and of the grid."""
    flow = ["flow"] if "flow" in work.config.chosen_analyses else []
    program = work.sizes.base + work.sizes.remembered
    planned = {
        stage: replace(costs, memory=program + costs.memory)
        for stage, costs in costs_of_stages([*STAGES, *flow], work).items()
        if costs is not None
    }
    taps = _taps(work.sizes, GRID)
    planned[GRID] = Costs(
        memory=vinformation_costs.memory(work, taps),
        operations=sum(vinformation_costs.operations(work, width) for width in taps),
        sent=sum(vinformation_costs.sent(work, width) for width in taps),
    )
    return planned


def _beside_the_plan(machine: Machine, work: Workload) -> dict[str, tuple[Amounts, float]]:
    """Return, for every stage, what the plan leaves out; and the bytes that it reads."""
    stages = {
        "extract": _extract(work),
        "dictionary": _dictionary(machine, work),
        "encode": _encode(machine, work),
        "importance": _importance(work),
    }
    like_score = ("flow", GRID) if "flow" in work.config.chosen_analyses else ()
    for stage in ("score", "dynamics", *like_score):
        taps = _taps(work.sizes, stage)
        if taps:
            # score also learns from half of the images.
            halves = stage == "score" and predictors.has_half(work.config.score)
            stages[stage] = _scores(machine, work, taps, 1 + halves)
    return stages


def _taps(sizes: Sizes, stage: str) -> list[int]:
    """Return the widths of the taps at which a stage finds V-information."""
    widths = list(sizes.widths.values())
    return {
        "score": widths,
        "dynamics": sizes.checkpoints * widths[-1:] if sizes.checkpoints > 1 else [],
        "flow": list(sizes.branches.values()),
        GRID: sizes.checkpoints * widths,
    }.get(stage, [])


def _extract(work: Workload) -> tuple[Amounts, float]:
    sizes = work.sizes
    n = sizes.n
    looks = n * -(-sizes.checkpoints // work.together)
    columns = planned_layout(sizes, work.config).columns()
    row = sum(column.row_bytes for column in columns.values())
    images_in = 3 * sizes.size**2 * looks / work.ranks
    rows_out = 2 * row * n * sizes.checkpoints / work.ranks
    amounts = {
        "decode": looks / work.ranks,
        "calls": KERNELS * n / work.ranks / work.sizes.batch * sizes.checkpoints,
        "transfer": images_in + rows_out,
    }
    image = IMAGE if work.config.data.source == "folder" else 0.0
    return amounts, image * looks


def _dictionary(machine: Machine, work: Workload) -> tuple[Amounts, float]:
    sizes = work.sizes
    rows = sizes.n * sizes.positions / work.ranks
    d = sizes.d
    groups = sizes.groups
    k = sizes.concepts // groups
    iterations = work.iterations["dictionary"]
    item = np.dtype(work.config.extract.dtype).itemsize
    converted = rows * d * (item + 8 + 2 * 8)  # to float64, which two products read
    # A column that is improved needs those of its block; a block needs all of them once. That over
    # the atoms, every rank does.
    sweep = nmf_updates.SWEEPS * k * (min(k, nmf_updates.ROWS) + k / nmf_updates.ROWS + 3)
    codes = 8 * rows * (sweep + 6 * k)
    atoms = 8 * groups * d * (sweep + 8 * k)
    passes = 3 if nndsvd.products_first(groups, d, k) else nndsvd.ITERATIONS + 3
    block = grouped_rows.rows_at_once(d, machine.device)
    # Images in the order of their classes, as in a folder: a rank has few of them.
    groups_of_rank = min(groups, groups // work.ranks + 1)
    segments = groups_of_rank * max(1, np.ceil(rows / groups_of_rank / block))
    batches = np.ceil(rows / block)
    calls_of_iteration = segments + (batches + 1) * (10 + 3 * nmf_updates.SWEEPS * k)
    sums = groups * k * (d + k)
    sums_moved = 2 * 8 * sums * iterations if work.ranks > 1 else 0.0
    amounts = {
        "bandwidth": iterations * (converted + codes + atoms)
        + passes * converted
        + 4 * item * rows * d,
        "calls": iterations * calls_of_iteration + passes * (segments + 4 * batches),
        "decomposition": passes * 4.0 * groups * d * (k + nndsvd.OVERSAMPLING) ** 2,
        "transfer": item * rows * d + sums_moved,
        "messages": iterations if work.ranks > 1 else 0.0,
    }
    return amounts, item * rows * work.ranks * d


def _encode(machine: Machine, work: Workload) -> tuple[Amounts, float]:
    sizes = work.sizes
    d = sizes.d
    k = sizes.concepts
    iterations = work.iterations["encode"]
    item = np.dtype(work.config.extract.dtype).itemsize
    vectors_of_image = 1 if work.config.encode.positions == "pooled" else sizes.positions
    read = float(item * sizes.n * sizes.positions * d)
    images = sizes.n / work.ranks
    images_of_block = min(images, max(1, work.config.machine.rows // sizes.positions))
    vectors = images * vectors_of_image
    blocks = vectors / (images_of_block * vectors_of_image)
    transfer = item * images * sizes.positions * d + 8 * images * k
    if nnls.by_working_sets(k, d, machine.device, work.config.encode.solver):
        return _beside_products_of_sets(machine, work, vectors) | {"transfer": transfer}, read
    rank = min(k, d)
    # Numbers read and written beside the products', and to look who is done.
    step = 8 * (15 * k + 3 * rank) + 8 * 25 * k / nnls.CHECK
    amounts = {
        "bandwidth": vectors * (iterations * step + 8 * (10 * k + 12 * d)),
        # The last vector of a block takes about twice the mean.
        "calls": blocks * (2 * iterations * 15 + 60),
        # Each rank does it for itself.
        "decomposition": 6.0 * k * rank**2 + 20.0 * rank**3,
        "transfer": transfer,
    }
    return amounts, read


def _beside_products_of_sets(machine: Machine, work: Workload, vectors: float) -> Amounts:
    """Return what the codes of so many vectors take beside products with all atoms.

    Passes over all codes at every look, the atoms that carry the vector, half of them on average;
    and passes over their products at every factorisation. On a GPU many small factorisations are
    as far from the rate of products as one large decomposition is.
    """
    k = work.sizes.concepts
    d = work.sizes.d
    carry = encoders_costs.CARRY * working_sets.most_that_carry(k, d)
    passes = PASSES[machine.device]
    looks = encoders_costs.LOOKS * 8 * (passes * k + carry / 2 * d)
    amounts = {"bandwidth": vectors * (looks + EXCHANGES * passes * 8 * carry**2 / 3)}
    if machine.device == "cpu":
        return amounts
    room = working_sets.FREE * machine.memory
    at_once = min(
        vectors, encoders_costs.vectors_at_once(work), working_sets.rows_within(room, k, d)
    )
    steps = encoders_costs.LOOKS * OF_LOOK + EXCHANGES * OF_EXCHANGE
    parts = vectors * EXCHANGES / pivoting.TOGETHER
    amounts["calls"] = vectors / at_once * SLOWEST * steps + parts * OF_PART
    amounts["decomposition"] = vectors * encoders_costs.FACTORISATIONS * carry**3
    return amounts


def _importance(work: Workload) -> tuple[Amounts, float]:
    n = work.sizes.n
    codes = 8.0 * work.sizes.concepts * n
    amounts = {
        "bandwidth": 14 * codes / work.ranks,
        "calls": 15 * n / work.ranks / work.config.machine.rows,
        "transfer": codes / work.ranks,
    }
    return amounts, codes


def _scores(
    machine: Machine, work: Workload, widths: list[int], times: int
) -> tuple[Amounts, float]:
    """Return the same of the V-information at taps of these widths, so many times from the sums."""
    n = work.sizes.n / work.ranks
    k = work.sizes.concepts
    folds = work.config.score.folds
    penalties = len(work.config.score.penalties)
    item = np.dtype(work.config.extract.dtype).itemsize
    blocks = n / min(work.config.machine.rows, n)
    resources = ("bandwidth", "calls", "decomposition", "transfer", "messages")
    total: Amounts = dict.fromkeys(resources, 0.0)
    read = 0.0
    for group in together(widths, folds, k, TOGETHER[machine.device]):
        taps = widths[group.start : group.stop]
        total["bandwidth"] += 8 * 6 * n * k
        total["calls"] += blocks * (6 * folds + 4)
        factors = times * -(-len(taps) * folds // work.ranks)
        total["decomposition"] += factors * 9.0 * max(taps) ** 3
        total["transfer"] += n * 8 * k
        read += work.sizes.n * 8 * k
        for d in taps:
            # The sums of a fold are read and written for its share of each block.
            adding = 16 * (k * d + d * d) * folds * blocks
            solving = times * 8 * 6 * folds * penalties * k / work.ranks * d
            sums_moved = 3 * 8 * folds * (k * d + d * d) if work.ranks > 1 else 0.0
            total["bandwidth"] += 8 * 6 * n * d + adding + solving
            total["calls"] += blocks * (4 * folds + 6) + times * 50 * folds
            total["transfer"] += n * item * d + sums_moved
            total["messages"] += 2 + folds if work.ranks > 1 else 0
            read += work.sizes.n * item * d
    return total, read
