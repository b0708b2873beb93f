"""What a run will take before it takes it: images, taps, disk, memory, operations; and what is at hand."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from torch.utils.flop_counter import FlopCounterMode

from vinfo_mpi import needs, units
from vinfo_mpi.errors import InputError
from vinfo_mpi.extract import PILOT
from vinfo_mpi.needs import Sizes
from vinfo_mpi.parallel.limits import Limit
from vinfo_mpi.run import Run
from vinfo_mpi.storage.files import existing
from vinfo_mpi.vision import footprint, heads, taps

GIB = 2**30
REMEDIES = {
    "train": "use more ranks, or lower train.batch or machine.batch",
    "extract": "lower machine.batch",
    "dictionary": "use more ranks, or lower data.per_class or extract.positions",
    "encode": "lower machine.rows or the number of concepts",
    "score": "use more ranks, or lower score.folds or the number of concepts",
    "dynamics": "use more ranks, or lower score.folds or the number of concepts",
}


@dataclass
class Plan:
    """Figures of a run, in bytes and floating-point operations; memory is per rank.

    Attributes
    ----------
    facts : dict of str to str
        What is run on what.
    disk, memory, operations : dict of str to float
        By kind of file, by stage, by stage.
    temporary : float
        Bytes on disk that are needed for a while beside `disk`.
    base : float
        Memory that the program itself takes, part of every stage's.
    disk_limit, memory_limit : Limit
    """

    facts: dict[str, str]
    disk: dict[str, float]
    temporary: float
    memory: dict[str, float]
    base: float
    operations: dict[str, float]
    disk_limit: Limit
    memory_limit: Limit

    def text(self) -> str:
        """Return the plan as a table for the terminal."""
        lines = [f"{name:<14} {value}" for name, value in self.facts.items()]
        lines += ["", f"{'disk':<14} {units.size(sum(self.disk.values()))} of {_of(self.disk_limit)}"]
        lines += [f"  {name:<12} {units.size(value)}" for name, value in self.disk.items()]
        lines += [f"  {'for a while':<12} {units.size(self.temporary)} more: an unfinished epoch or dictionary"]
        lines += ["", f"{'memory':<14} {units.size(max(self.memory.values()))} per rank of {_of(self.memory_limit)}"]
        lines += [f"  {'program':<12} {units.size(self.base)}, part of each:"]
        lines += [f"  {name:<12} {units.size(value)}" for name, value in self.memory.items()]
        lines += ["", f"{'operations':<14} {sum(self.operations.values()):.2e} floating-point, over all ranks"]
        lines += [f"  {name:<12} {value:.2e}" for name, value in self.operations.items()]
        return "\n".join(lines)

    def check(self) -> None:
        """Raise `InputError` for a plan that does not fit, with the figures and the setting to change."""
        need = sum(self.disk.values()) + self.temporary
        if need > self.disk_limit.size:
            raise InputError(
                f"the run needs {units.size(need)} of disk, {units.size(self.disk_limit.size)} are free or allowed "
                f"({self.disk_limit.source}); "
                "lower data.per_class or extract.positions, use extract.dtype: float16, or save fewer epochs (train.save)"
            )
        stage, peak = max(self.memory.items(), key=lambda item: item[1])
        if peak > self.memory_limit.size:
            remedy = REMEDIES.get(stage, "use more ranks, or lower machine.rows")
            if self.base > self.memory_limit.size:
                remedy = "the program alone takes more: allow it more, or lower the number of ranks on a node"
            raise InputError(
                f"stage {stage} needs {units.size(peak)} of memory per rank, "
                f"{units.size(self.memory_limit.size)} are free or allowed ({self.memory_limit.source}); {remedy}"
            )


def make(run: Run, memory_limit: Limit) -> Plan:
    """Return the plan of a run, on one rank; `memory_limit` is what every rank may use.

    Raises
    ------
    InputError
        For anything wrong with data, network, weights or taps, so that it shows before any work is done.
    """
    network = run.subject.network().cpu()
    example = torch.zeros(1, 3, run.subject.preprocessing.size, run.subject.preprocessing.size)
    names = taps.find(network, run.config.extract, example)
    sizes = measure(run, network, names, example)
    # By now everything has been loaded that the stages load. The weights are counted by the stages that hold them.
    base = float(psutil.Process().memory_info().rss) - sizes.weights
    hosts = [binding.host for binding in run.bindings]
    machine, data, name = run.config.machine, run.config.data, run.config.network.name or run.config.network.target
    widths = ", ".join(f"{name} ({width})" for name, width in sizes.widths.items())
    facts = {
        "run": str(run.folder),
        "network": f"{name}, {sizes.weights / 4:.3g} parameters, {sizes.checkpoints} checkpoints",
        "data": f"{data.source}, {sizes.n} images of {example.shape[-1]} pixels analysed, {len(sizes.classes)} classes",
        "taps": f"{len(names)}: {widths}",
        "last tap": f"{sizes.positions} of {sizes.map} positions, {sizes.d} channels",
        "concepts": str(sizes.concepts),
        "ranks": f"{run.ranks.size} on {len(set(hosts))} nodes, {run.device}",
        "storage": run.storage,
    }
    space = needs.disk(sizes, run.config, run.ranks.size, run.storage == "parallel")
    return Plan(
        facts,
        space,
        needs.temporary(sizes, run.config),
        needs.memory(sizes, run.config, run.ranks.size, base),
        base,
        needs.operations(sizes, run.config),
        Limit(machine.disk_limit * GIB, "machine.disk_limit") if machine.disk_limit else _free_disk(run.folder, space),
        Limit(machine.memory_limit * GIB, "machine.memory_limit") if machine.memory_limit else memory_limit,
    )


def measure(run: Run, network: torch.nn.Module, names: list[str], example: torch.Tensor) -> Sizes:
    """Run blank images through the network and count."""
    config, images, ranks, pixels = run.config, run.subject.images, run.ranks.size, example.shape[-1]
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
    _, positions, d = reading.map.shape
    classes, n, epochs = images.classes, len(run.subject.ids), 0 if config.network.checkpoints else config.train.epochs
    by_class = config.dictionary.kind == "class-wise"
    tested = -(-int(images.test.sum()) // ranks) if epochs else 0
    batch = max(min(config.machine.batch, max(-(-n // ranks), tested)), min(PILOT, n))
    learned = [value for value in network.parameters() if value.requires_grad]
    return Sizes(
        n=n,
        steps_of=int((~images.test).sum()) * epochs,
        known=min(len(images.labels), -(-n // ranks) + tested),
        size=pixels,
        checkpoints=len(run.checkpoints),
        classes=classes,
        outputs=reading.outputs.shape[1],
        positions=positions if config.extract.positions == "all" else min(config.extract.positions, positions),
        map=positions,
        d=d,
        widths={name: pooled.shape[1] for name, pooled in reading.pooled.items()},
        concepts=config.dictionary.concepts_per_class * len(classes) if by_class else config.dictionary.concepts,
        groups=len(classes) if by_class else 1,
        linear=heads.linear(network, reading.map.mean(1), reading.outputs) is not None,
        weights=_bytes(network),
        trainable=sum(value.nbytes for value in learned),
        tensors=len(network.state_dict()) + len(learned),
        forward=footprint.forward(lambda batch: taps.read(network, names, batch, config.extract), pixels, batch),
        training=footprint.training(network, pixels, -(-config.train.batch // ranks)) if epochs else 0.0,
        operations=counter.get_total_flops(),
    )


def _bytes(network: torch.nn.Module) -> int:
    return sum(value.nbytes for value in network.state_dict().values())


def _free_disk(folder: Path, disk: dict[str, float]) -> Limit:
    """Return what the file system has free, counting what this run has written already as free."""
    place = existing(folder)
    used = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0
    return Limit(float(shutil.disk_usage(place).free + min(used, sum(disk.values()))), f"free at {place}")


def _of(limit: Limit) -> str:
    return f"{units.size(limit.size)} ({limit.source})"
