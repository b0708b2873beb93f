"""What a run will take before it takes it: images, taps, disk, memory, operations; and what is at hand."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import torch
from torch.utils.flop_counter import FlopCounterMode

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


def make(run: Run) -> Plan:
    """Return the plan of a run, on one rank.

    Raises
    ------
    InputError
        For anything wrong with data, network, weights or taps, so that it shows before any work is done.
    """
    config, ranks = run.config, run.ranks.size
    images, ids = run.subject.images, run.subject.ids
    hosts = [binding.host for binding in run.bindings]
    network = run.subject.network().cpu()
    example = torch.zeros(1, 3, run.subject.preprocessing.size, run.subject.preprocessing.size)
    names = taps.find(network, config.extract, example)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        reading = taps.read(network, names, example, config.extract)
    if reading.outputs.ndim != 2:
        raise InputError(f"the network returns shape {tuple(reading.outputs.shape)}; expected logits (N, C)")
    if images.labels.max() >= reading.outputs.shape[1]:
        raise InputError(
            f"the network has {reading.outputs.shape[1]} outputs, but labels go up to {images.labels.max()}; "
            "choose a network for these classes"
        )
    n, checkpoints = len(ids), len(run.checkpoints)
    _, map_positions, d = reading.map.shape
    positions = map_positions if config.extract.positions == "all" else min(config.extract.positions, map_positions)
    widths = [pooled.shape[1] for pooled in reading.pooled.values()]
    classes = len(images.classes)
    by_class = config.dictionary.kind == "class-wise"
    concepts = config.dictionary.concepts_per_class * classes if by_class else config.dictionary.concepts
    k = concepts // (classes if by_class else 1)
    folds, item = config.score.folds, np.dtype(config.extract.dtype).itemsize
    parameters = sum(value.numel() for value in network.state_dict().values()) * 4
    training = 0 if config.network.checkpoints else int((~images.test).sum()) * config.train.epochs
    forward = counter.get_total_flops()
    rows, mine = n * positions, -(-n // ranks) * positions
    widest = max(widths)
    d2 = sum(width * width for width in widths)
    penalties = len(config.score.penalties)

    row_bytes = (sum(widths)) * item + reading.outputs.shape[1] * 4 + 25
    disk = {
        "checkpoints": 0.0 if config.network.checkpoints else checkpoints * parameters * (2.0 if config.train.epochs else 1.0),
        "activations": float(checkpoints * n * row_bytes + rows * d * item),
        "codes": float(n * (concepts + 1) * 8),
        "dictionary": float(concepts * d * 8 + (rows * k * 8 if config.dictionary.max_iterations >= 50 else 0)),
        "results": float(8 * concepts * (2 * len(widths) + checkpoints + 10)),
    }
    batch = min(config.machine.batch, -(-n // ranks))
    feature_bytes = 4 * sum(value.numel() for value in _all_outputs(network, example))
    shared_moments = 8 * folds * (widest * widest + widest + 2 * concepts)
    memory = {
        "train": BASE + parameters * 4 + 2 * feature_bytes * -(-config.train.batch // ranks) if training else BASE,
        "extract": BASE + parameters + batch * (feature_bytes + 3 * (row_bytes + map_positions * d * 4)),
        "dictionary": BASE + mine * (d * 4 + k * 8 * 3) + (mine * d * 8 / (classes if by_class else 1)) + 16 * concepts * (d + k),
        "encode": BASE
        + 8 * concepts * min(concepts, 2 * d)
        + 8 * 12 * config.machine.rows * concepts
        + 8 * config.machine.rows * d * 2,
        "score": BASE + 2 * shared_moments + 8 * folds * concepts * widest * (1 + 1 / ranks) + 3 * 16 * widest * widest,
    }
    operations = {
        "train": 3.0 * forward * training,
        "extract": float(forward * n * checkpoints),
        "dictionary": 4.0 * rows * d * k * 100,
        "encode": 2.0 * rows * concepts * concepts * 200,
        "score": 2.0 * n * (d2 + sum(widths) * concepts) + 2.0 * folds * penalties * concepts * d2,
        "dynamics": (2.0 * n * d * (d + concepts) + 2.0 * folds * penalties * concepts * d * d) * checkpoints,
    }
    facts = {
        "run": str(run.folder),
        "network": f"{config.network.name or config.network.target}, {parameters / 4:.3g} parameters, {checkpoints} checkpoints",
        "data": f"{config.data.source}, {n} images of {run.subject.preprocessing.size} pixels analysed, {classes} classes",
        "taps": f"{len(names)}: " + ", ".join(f"{name} ({width})" for name, width in zip(names, widths, strict=True)),
        "last tap": f"{positions} of {map_positions} positions, {d} channels",
        "concepts": str(concepts),
        "ranks": f"{ranks} on {len(set(hosts))} nodes, {run.device}",
        "storage": run.storage,
    }
    per_node = max(hosts.count(host) for host in hosts)
    return Plan(
        facts, disk, memory, operations,
        config.machine.disk_limit * GIB if config.machine.disk_limit else _free_disk(run.folder, disk),
        config.machine.memory_limit * GIB if config.machine.memory_limit else psutil.virtual_memory().available / per_node,
    )  # fmt: skip


def _free_disk(folder: Path, disk: dict[str, float]) -> float:
    """Return what the file system has free, counting what this run has written already as free."""
    existing = next(one for one in (folder, *folder.resolve().parents) if one.exists())
    used = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0
    return float(shutil.disk_usage(existing).free + min(used, sum(disk.values())))


def _all_outputs(network: torch.nn.Module, example: torch.Tensor) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    leaves = [name for name, module in network.named_modules() if name and not list(module.children())]
    with torch.no_grad(), taps.hooks(network, leaves, lambda name, output: found.append(output)):
        network(example)
    return found


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
