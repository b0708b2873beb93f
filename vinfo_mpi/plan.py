"""What a run will take before it takes it: images, taps, disk, memory, operations; and what is at hand."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import torch
from torch.utils.flop_counter import FlopCounterMode

from vinfo_mpi.config import Config
from vinfo_mpi.errors import InputError
from vinfo_mpi.run import Run
from vinfo_mpi.vision import taps

GIB = 2**30
BASE = 0.6 * GIB  # an interpreter with torch, MPI and HDF5 loaded


@dataclass
class Plan:
    """Figures of a run, in bytes and floating-point operations; memory is per rank."""

    facts: dict[str, str]
    disk: dict[str, float]
    memory: dict[str, float]
    operations: dict[str, float]
    disk_limit: float
    memory_limit: float

    def text(self) -> str:
        """Return the plan as a table for the terminal."""
        lines = [f"{name:<14} {value}" for name, value in self.facts.items()]
        lines += ["", f"{'disk':<14} {_size(sum(self.disk.values()))} of {_size(self.disk_limit)}"]
        lines += [f"  {name:<12} {_size(value)}" for name, value in self.disk.items()]
        lines += ["", f"{'memory':<14} {_size(max(self.memory.values()))} per rank of {_size(self.memory_limit)}"]
        lines += [f"  {name:<12} {_size(value)}" for name, value in self.memory.items()]
        lines += ["", f"{'operations':<14} {sum(self.operations.values()):.2e} floating-point, over all ranks"]
        lines += [f"  {name:<12} {value:.2e}" for name, value in self.operations.items()]
        return "\n".join(lines)

    def check(self) -> None:
        """Raise `InputError` for a plan that does not fit, with the figures and the setting to change."""
        need = sum(self.disk.values())
        if need > self.disk_limit:
            raise InputError(
                f"the run needs {_size(need)} of disk, {_size(self.disk_limit)} are free or allowed; "
                "lower data.per_class or extract.positions, use extract.dtype: float16, or save fewer epochs (train.save)"
            )
        stage, peak = max(self.memory.items(), key=lambda item: item[1])
        if peak > self.memory_limit:
            remedy = {
                "train": "use more ranks, or lower train.batch",
                "extract": "lower machine.batch",
                "dictionary": "use more ranks, or lower data.per_class or extract.positions",
                "score": "use more ranks, or lower score.folds or the number of concepts",
            }.get(stage, "use more ranks, or lower machine.rows")
            raise InputError(
                f"stage {stage} needs {_size(peak)} of memory per rank, {_size(self.memory_limit)} are free or allowed; {remedy}"
            )


@dataclass
class Sizes:
    """The numbers that everything else follows from.

    Attributes
    ----------
    n, training : int
        Images analysed; images learned from, counted once per epoch.
    checkpoints, taps, classes, outputs : int
        How many.
    positions, d : int
        Kept positions and channels of the last tap's map, `map` of them before any are dropped.
    widths : list of int
        Of the taps.
    concepts, groups : int
        Atoms in all, and dictionaries that they are fitted in.
    parameters, features, largest : int
        Bytes of the weights, of all layers' outputs for one image, and of the largest of these.
    forward : int
        Operations of one image.
    """

    n: int
    training: int
    checkpoints: int
    classes: int
    outputs: int
    positions: int
    map: int
    d: int
    widths: list[int]
    concepts: int
    groups: int
    parameters: int
    features: int
    largest: int
    forward: int


def make(run: Run) -> Plan:
    """Return the plan of a run, on one rank.

    Raises
    ------
    InputError
        For anything wrong with data, network, weights or taps, so that it shows before any work is done.
    """
    network = run.subject.network().cpu()
    example = torch.zeros(1, 3, run.subject.preprocessing.size, run.subject.preprocessing.size)
    names = taps.find(network, run.config.extract, example)
    sizes = measure(run, network, names, example)
    hosts = [binding.host for binding in run.bindings]
    limits, data, name = run.config.machine, run.config.data, run.config.network.name or run.config.network.target
    widths = ", ".join(f"{name} ({width})" for name, width in zip(names, sizes.widths, strict=True))
    facts = {
        "run": str(run.folder),
        "network": f"{name}, {sizes.parameters / 4:.3g} parameters, {sizes.checkpoints} checkpoints",
        "data": f"{data.source}, {sizes.n} images of {example.shape[-1]} pixels analysed, {sizes.classes} classes",
        "taps": f"{len(names)}: {widths}",
        "last tap": f"{sizes.positions} of {sizes.map} positions, {sizes.d} channels",
        "concepts": str(sizes.concepts),
        "ranks": f"{run.ranks.size} on {len(set(hosts))} nodes, {run.device}",
        "storage": run.storage,
    }
    space = disk(sizes, run.config)
    available = psutil.virtual_memory().available / max(hosts.count(host) for host in hosts)
    return Plan(
        facts,
        space,
        memory(sizes, run.config, run.ranks.size),
        operations(sizes, run.config),
        limits.disk_limit * GIB if limits.disk_limit else _free_disk(run.folder, space),
        limits.memory_limit * GIB if limits.memory_limit else available,
    )


def measure(run: Run, network: torch.nn.Module, names: list[str], example: torch.Tensor) -> Sizes:
    """Run one blank image through the network and count."""
    config, images = run.config, run.subject.images
    outputs: list[int] = []
    leaves = [name for name, module in network.named_modules() if name and not list(module.children())]
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter, taps.hooks(network, leaves, lambda name, output: outputs.append(output.numel())):
        reading = taps.read(network, names, example, config.extract)
    if reading.outputs.ndim != 2:
        raise InputError(f"the network returns shape {tuple(reading.outputs.shape)}; expected logits (N, C)")
    if images.labels.max() >= reading.outputs.shape[1]:
        raise InputError(
            f"the network has {reading.outputs.shape[1]} outputs, but labels go up to {images.labels.max()}; "
            "choose a network for these classes"
        )
    _, positions, d = reading.map.shape
    classes = len(images.classes)
    by_class = config.dictionary.kind == "class-wise"
    return Sizes(
        n=len(run.subject.ids),
        training=0 if config.network.checkpoints else int((~images.test).sum()) * config.train.epochs,
        checkpoints=len(run.checkpoints),
        classes=classes,
        outputs=reading.outputs.shape[1],
        positions=positions if config.extract.positions == "all" else min(config.extract.positions, positions),
        map=positions,
        d=d,
        widths=[pooled.shape[1] for pooled in reading.pooled.values()],
        concepts=config.dictionary.concepts_per_class * classes if by_class else config.dictionary.concepts,
        groups=classes if by_class else 1,
        parameters=sum(value.numel() * value.element_size() for value in network.state_dict().values()),
        features=4 * sum(outputs),
        largest=4 * max(outputs),
        forward=counter.get_total_flops(),
    )


def disk(sizes: Sizes, config: Config) -> dict[str, float]:
    """Return the bytes on disk of each kind of file."""
    item = np.dtype(config.extract.dtype).itemsize
    row = sum(sizes.widths) * item + sizes.outputs * 4 + 3 * 8 + 1
    fit = sizes.n * sizes.positions * sizes.concepts / sizes.groups * 8  # kept while the dictionary is unfinished
    saved = 2 if sizes.training else 1  # with the optimiser's momentum
    return {
        "checkpoints": 0.0 if config.network.checkpoints else float(sizes.checkpoints * sizes.parameters * saved),
        "activations": float(sizes.checkpoints * sizes.n * row + sizes.n * sizes.positions * sizes.d * item),
        "dictionary": float(sizes.concepts * sizes.d * 8 + fit),
        "codes": float(sizes.n * (sizes.concepts + 1) * 8),
        "results": float(8 * sizes.concepts * (2 * len(sizes.widths) + sizes.checkpoints + 10)),
    }


def memory(sizes: Sizes, config: Config, ranks: int) -> dict[str, float]:
    """Return the peak memory of each stage, per rank."""
    mine = -(-sizes.n // ranks)
    rows, images = mine * sizes.positions, min(config.machine.batch, mine)
    k, d, widest = sizes.concepts, sizes.d, max(sizes.widths)
    batch = config.machine.rows
    shared_moments = 8 * config.score.folds * (widest * widest + widest + 2 * k)
    stages = {
        "train": 4 * sizes.parameters + 2 * sizes.features * -(-config.train.batch // ranks) if sizes.training else 0,
        "extract": sizes.parameters + images * (4 * sizes.largest + 12 * (sum(sizes.widths) + sizes.map * d)),
        "dictionary": rows * (4 * d + 3 * 8 * k / sizes.groups) + 16 * k * (d + k / sizes.groups),
        "encode": 8 * k * min(k, 2 * d) + 8 * batch * (12 * k + 2 * d),
        "score": 2 * shared_moments + 8 * config.score.folds * k * widest * (1 + 1 / ranks) + 48 * widest * widest,
    }
    return {name: BASE + value for name, value in stages.items()}


def operations(sizes: Sizes, config: Config) -> dict[str, float]:
    """Return the floating-point operations of each stage, for typical numbers of iterations."""
    n, k, d, rows = sizes.n, sizes.concepts, sizes.d, sizes.n * sizes.positions
    solves = config.score.folds * len(config.score.penalties)
    return {
        "train": 3.0 * sizes.forward * sizes.training,
        "extract": float(sizes.forward * n * sizes.checkpoints),
        "dictionary": 4.0 * rows * d * k / sizes.groups * 100,
        "encode": 2.0 * rows * k * min(k, 2 * d) * 200,
        "score": sum(2.0 * n * width * (width + k) + 2.0 * solves * k * width**2 for width in sizes.widths),
        "dynamics": (2.0 * n * d * (d + k) + 2.0 * solves * k * d**2) * sizes.checkpoints,
    }


def _free_disk(folder: Path, disk: dict[str, float]) -> float:
    """Return what the file system has free, counting what this run has written already as free."""
    existing = next(one for one in (folder, *folder.resolve().parents) if one.exists())
    used = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0
    return float(shutil.disk_usage(existing).free + min(used, sum(disk.values())))


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
