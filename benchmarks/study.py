"""The study of the paper: its sizes and settings, and what it takes on a machine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from benchmarks import model
from benchmarks.machine import Machine
from benchmarks.model import GRID, Estimate
from vinfo_mpi.config.load import check_config
from vinfo_mpi.config.schema import Config
from vinfo_mpi.costs.sizes import Sizes
from vinfo_mpi.costs.workload import TYPICAL, Workload
from vinfo_mpi.parallel.limits import Limit
from vinfo_mpi.pipeline.plan import checkpoints_together

# Of the concepts that each checkpoint has for itself.
OF_CHECKPOINT = ("dictionary", "encode", "score", "importance")
EPOCHS = 90  # and as many checkpoints
RESNET50 = {256: 3, 512: 4, 1024: 6, 2048: 3}  # channels: blocks
PARAMETERS = 25_557_032
SIZE = 224
BATCH = 256
PAPER = {
    "data": {"source": "folder", "image_size": SIZE},
    "network": {"name": "resnet50", "checkpoints": ["*.pt"]},
    "extract": {"dtype": "float16"},
    "dictionary": {"concepts_per_class": 10},
    "machine": {"workers": 16},
    "analyses": ["flow"],
    "pages": [],
}
TF32 = {"dtype": "float16", "precision": "tf32"}
OTHERWISE: dict[str, dict[str, Any]] = {
    "as it is": {},
    "codes take 400 iterations, not 200": {"iterations": 400.0},
    "codes by working sets (encode.solver: working-sets)": {"encode": {"solver": "working-sets"}},
    "320 images a second are read for a GPU, not 1,280": {"rates": {"decode": 320.0}},
    "every checkpoint reads the images anew": {"together": 1},
    "the network in TF32 (extract.precision: tf32)": {"extract": TF32},
    "both: working sets, TF32": {"encode": {"solver": "working-sets"}, "extract": TF32},
    "8 of 49 positions (extract.positions: 8)": {"extract": {"dtype": "float16", "positions": 8}},
    "pooled vectors encoded (encode.positions: pooled)": {"encode": {"positions": "pooled"}},
}


def paper(images: int) -> tuple[Sizes, Config]:
    """Return sizes and settings of the paper's study.

    ResNet-50, 90 checkpoints, 10 concepts for each of 1,000 classes.
    """
    blocks = [width for width, count in RESNET50.items() for _ in range(count)]
    widths = {f"block {number}": width for number, width in enumerate(blocks)}
    branches = {
        f"{name}.{kind}": width for name, width in widths.items() for kind in ("main", "shortcut")
    }
    sizes = Sizes(
        n=images,
        steps_of=0,  # the training is not part of it
        remembered=0,
        size=SIZE,
        checkpoints=EPOCHS,
        classes=[""] * 1000,
        outputs=1000,
        positions=49,
        map=49,
        d=2048,
        widths=widths,
        branches=branches,
        maps=1,
        concepts=10_000,
        groups=1000,
        linear=True,
        weights=4 * PARAMETERS,
        trainable=4 * PARAMETERS,
        tensors=320,
        batch=BATCH,
        forward=3.0 * BATCH * 64 * (SIZE // 2) ** 2 * 4,  # three of the largest maps
        training=0.0,
        backward=0.0,
        operations=8_178_000_000,
        head=2 * 2048 * 1000,
        base=1e9,
    )
    return sizes, check_config(PAPER)


def study(
    target: Machine,
    images: int,
    ranks: int,
    *,
    together: int | None = None,
    iterations: float = TYPICAL["encode"],
    rates: Mapping[str, float] = MappingProxyType({}),
    **settings: Any,
) -> list[Estimate]:
    """Return what the paper's study takes.

    Parameters
    ----------
    together : int, or None
        Checkpoints for which an image is read once; None: as many as the plan finds room for.
    iterations : float
        For the codes of a vector, mean.
    rates : dict of str to float
        That win over the machine's.
    settings : dict
        Sections of the configuration that are otherwise.
    """
    sizes, _ = paper(images)
    config = check_config(PAPER | settings)
    if config.extract.positions != "all":
        sizes.positions = config.extract.positions
    typical = TYPICAL | {"encode": iterations}
    work = Workload(sizes, config, ranks, device=target.device, iterations=typical)
    if together is None:
        together = _together(target, work)
    return model.estimate(target.reaching(rates), replace(work, together=together))


def _together(target: Machine, work: Workload) -> int:
    """Return for how many checkpoints the plan reads an image once."""
    memory = Limit(target.memory, target.name)
    if target.device == "cpu":
        return checkpoints_together(work, work.sizes.base, memory, None)
    return checkpoints_together(work, work.sizes.base, Limit(math.inf, target.name), memory)


def total(estimates: list[Estimate]) -> float:
    """Return the seconds of all stages that belong to the study; sedimentation is asked for."""
    return sum(estimate.seconds for estimate in estimates if estimate.stage != GRID)


def with_sedimentation(estimates: list[Estimate]) -> float:
    """Return the seconds of all stages, of the grid, and of concepts for each checkpoint itself."""
    again = sum(estimate.seconds for estimate in estimates if estimate.stage in OF_CHECKPOINT)
    return sum(estimate.seconds for estimate in estimates) + (EPOCHS - 1) * again
