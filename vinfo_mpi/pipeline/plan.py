"""The plan of a run: disk, memory and operations that it will take, and what is available."""

from __future__ import annotations

import importlib
import shutil
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from vinfo_mpi import units
from vinfo_mpi.costs.sizes import Sizes
from vinfo_mpi.costs.workload import SUMS, Costs, Workload
from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel import gpus
from vinfo_mpi.parallel.limits import Limit
from vinfo_mpi.registry import STAGES
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.atomic import existing
from vinfo_mpi.storage.rows import storage_kind

GIB = 2**30


@dataclass
class Plan:
    """Figures of a run.

    Attributes
    ----------
    facts : dict of str to str
        What is run on what.
    costs : dict of str to Costs, or None
        Of every stage; None where its module does not say.
    base : float
        Bytes of memory that the program itself takes, part of every stage's.
    disk_limit, memory_limit : Limit
        The memory is per rank.
    device_limit : Limit, or None
        The same of the device's memory; None where the ranks compute on the CPU.
    kept : float
        Bytes on disk of earlier results that stay beside the new ones.
    together : int
        Checkpoints that are extracted together: each image is read once for them.
    room : float, or None
        Bytes on the device for sums of taps that are read together, a quarter of it.
    """

    facts: Mapping[str, str]
    costs: Mapping[str, Costs | None]
    base: float
    disk_limit: Limit
    memory_limit: Limit
    device_limit: Limit | None = None
    kept: float = 0.0
    together: int = 1
    room: float | None = None

    @property
    def known(self) -> dict[str, Costs]:
        """The stages whose costs are known."""
        return {stage: costs for stage, costs in self.costs.items() if costs is not None}

    @property
    def disk(self) -> dict[str, float]:
        """Bytes of each kind of file when the run is done."""
        return disk_by_kind(self.known.values())

    @property
    def temporary(self) -> float:
        """Bytes on disk that are needed for a while beside these: one stage runs at a time."""
        return max((costs.temporary for costs in self.known.values()), default=0.0)

    @property
    def memory(self) -> dict[str, float]:
        """Peak memory of each stage, per rank: what the program holds, and what the stage adds."""
        if self.device_limit is None:
            return {stage: self.base + costs.memory for stage, costs in self.known.items()}
        return {stage: self.base + costs.beside_device for stage, costs in self.known.items()}

    @property
    def device_memory(self) -> dict[str, float]:
        """Peak memory of each stage on the device, per rank, without libraries; none on the CPU."""
        if self.device_limit is None:
            return {}
        return {stage: costs.on_device for stage, costs in self.known.items()}

    def text(self) -> str:
        """Return the plan as a table for the terminal."""
        peak = units.size(max(self.memory.values(), default=self.base))
        operations = {stage: costs.operations for stage, costs in self.known.items()}
        sent = {stage: costs.sent for stage, costs in self.known.items()}
        lines = [f"{name:<14} {value}" for name, value in self.facts.items()]
        lines += [
            "",
            f"{'disk':<14} {units.size(sum(self.disk.values()))} of {_limit(self.disk_limit)}",
            *_rows(self.disk, units.size),
            f"  {'for a while':<12} {units.size(self.temporary)} more: "
            "an unfinished epoch or dictionary",
            "",
            f"{'memory':<14} {peak} per rank of {_limit(self.memory_limit)}",
            f"  {'program':<12} {units.size(self.base)}, part of each:",
            *_rows(self.memory, units.size),
            "",
            *self._text_of_device(),
            f"{'operations':<14} {sum(operations.values()):.2e} floating-point, over all ranks",
            *_rows(operations, "{:.2e}".format),
            "",
            f"{'communication':<14} {units.size(sum(sent.values()))} into sums and broadcasts, "
            "over all ranks",
            *_rows(sent, units.size),
        ]
        unknown = [stage for stage in self.costs if stage not in self.known]
        if unknown:
            lines += ["", f"{'not planned':<14} {', '.join(unknown)}: what they take is not known"]
        return "\n".join(lines)

    def check(self) -> None:
        """Raise `InputError` if the plan does not fit, with figures and the setting to change."""
        need = sum(self.disk.values()) + self.temporary
        if self.disk_limit.size < need <= self.disk_limit.size + self.kept:
            raise InputError(
                f"the run needs {units.size(need)} of disk besides the earlier results, which are "
                f"kept, {units.size(self.disk_limit.size)} are free or allowed "
                f"({self.disk_limit.source}); replace them with --force, or move them out of the "
                "run's folder"
            )
        if need > self.disk_limit.size:
            raise InputError(
                f"the run needs {units.size(need)} of disk, {units.size(self.disk_limit.size)} are "
                f"free or allowed ({self.disk_limit.source}); lower data.per_class or "
                "extract.positions, use extract.dtype: float16, or save fewer epochs (train.save)"
            )
        remedy = None
        if self.base > self.memory_limit.size:
            remedy = (
                "the program alone takes more: allow it more, or lower the number of ranks on a "
                "node"
            )
        _check_memory(self.memory, self.memory_limit, "memory", remedy)
        if self.device_limit is not None:
            _check_memory(self.device_memory, self.device_limit, "its GPU's memory")

    def _text_of_device(self) -> list[str]:
        """Return the lines on the device's memory, none on the CPU."""
        if self.device_limit is None:
            return []
        peak = units.size(max(self.device_memory.values(), default=0.0))
        title = f"{'GPU memory':<14} {peak} per rank of {_limit(self.device_limit)}"
        return [title, *_rows(self.device_memory, units.size), ""]


def make(
    run: Run,
    sizes: Sizes,
    memory_limit: Limit,
    device_limit: Limit | None = None,
    kept: float = 0.0,
) -> Plan:
    """Return the plan of a run; the limits are what every rank may use of the two memories.

    `kept` are the bytes of earlier results that stay beside the new ones.
    """
    machine = run.config.machine
    shared = storage_kind(machine.storage) == "parallel"
    work = Workload(sizes, run.config, run.ranks.size, shared, run.device.type)
    if machine.memory_limit is not None:
        memory_limit = Limit(machine.memory_limit * GIB, "machine.memory_limit")
    base = sizes.base + sizes.remembered
    together = machine.checkpoints or checkpoints_together(work, base, memory_limit, device_limit)
    together = min(together, sizes.checkpoints)
    room = None if device_limit is None else device_limit.size * SUMS
    costs = costs_of_stages(run.config.stages, replace(work, together=together, room=room))
    facts = _facts(run, sizes, together)
    plan = Plan(
        facts, costs, base, Limit(0.0, ""), memory_limit, device_limit, kept, together, room
    )
    if machine.disk_limit is not None:
        plan.disk_limit = Limit(machine.disk_limit * GIB, "machine.disk_limit")
    else:
        plan.disk_limit = _free_disk(run.folder, sum(plan.disk.values()), kept)
    return plan


def checkpoints_together(work: Workload, base: float, host: Limit, device: Limit | None) -> int:
    """Return how many checkpoints are extracted together.

    As many as fit into half of the memory that extraction leaves free, the processor's and the
    device's.
    """
    limits = [host, *([] if device is None else [device])]

    def needs(count: int) -> list[float]:
        costs = costs_of_stages(["extract"], replace(work, together=count))["extract"] or Costs()
        if device is None:
            return [base + costs.memory]
        return [base + costs.beside_device, costs.on_device]

    alone = needs(1)

    def too_many(count: int) -> bool:
        room = [(limit.size - need) / 2 for limit, need in zip(limits, alone, strict=True)]
        return any(
            need - first > free for need, first, free in zip(needs(count), alone, room, strict=True)
        )

    counts = range(2, work.sizes.checkpoints + 1)
    return 1 + bisect_left(counts, True, key=too_many)


def _check_memory(
    needs: Mapping[str, float], limit: Limit, what: str, remedy: str | None = None
) -> None:
    """Raise `InputError` where a stage needs more memory than every rank has."""
    stage, peak = max(needs.items(), key=lambda item: item[1], default=("", 0.0))
    if peak > limit.size:
        raise InputError(
            f"stage {stage} needs {units.size(peak)} of {what} per rank, "
            f"{units.size(limit.size)} are free or allowed ({limit.source}); "
            f"{remedy or STAGES[stage].remedy}"
        )


def costs_of_stages(stages: Iterable[str], work: Workload) -> dict[str, Costs | None]:
    """Return what each stage takes, None where its module does not say."""

    def costs_of(stage: str, work: Workload) -> Costs | None:
        formula = getattr(importlib.import_module(STAGES[stage].module), "costs", None)
        return None if formula is None else formula(work)

    work = replace(work, formulas=lambda stage, work: costs_of(stage, work) or Costs())
    return {stage: costs_of(stage, work) for stage in stages}


def disk_by_kind(costs: Iterable[Costs]) -> dict[str, float]:
    """Return the bytes of each kind of file that stages leave."""
    kinds: dict[str, float] = {}
    for each in costs:
        for kind, size in each.disk.items():
            kinds[kind] = kinds.get(kind, 0.0) + size
    return kinds


def _facts(run: Run, sizes: Sizes, together: int) -> dict[str, str]:
    """Return what is run on what."""
    network = run.config.network.name or run.config.network.target
    widths = ", ".join(f"{name} ({width})" for name, width in sizes.widths.items())
    hosts = {binding.host for binding in run.bindings}
    slow = run.bindings and gpus.slow_in_float64(run.device)
    return {
        "run": str(run.folder),
        "network": f"{network}, {sizes.weights / 4:.3g} parameters, "
        f"{units.counted(sizes.checkpoints, 'checkpoint')}",
        "input": sizes.input,
        "data": f"{run.config.data.source}, {sizes.n} images of {sizes.size} pixels analysed, "
        f"{len(sizes.classes)} classes",
        "reading": f"each image once for {units.counted(together, 'checkpoint')} together, "
        f"{units.counted(sizes.batch, 'image')} at once",
        "taps": f"{len(sizes.widths)}: {widths}",
        "last tap": f"{sizes.positions} of {sizes.map} positions, {sizes.d} channels",
        "concepts": str(sizes.concepts),
        "ranks": f"{run.ranks.size} on {units.counted(len(hosts), 'node')}, {run.device}",
        **({"float64": gpus.SLOW} if slow else {}),
        "storage": storage_kind(run.config.machine.storage),
    }


def _free_disk(folder: Path, needed: float, kept: float) -> Limit:
    """Return what the file system has free, and what this run has written and needs again."""
    place = existing(folder)
    used = -kept
    for path in folder.rglob("*"):
        if path.is_file() and "previous" not in path.relative_to(folder).parts[:1]:
            used += path.stat().st_size
    free = shutil.disk_usage(place).free + min(used, needed)
    return Limit(float(free), f"free at {place}")


def _rows(values: Mapping[str, float], text: Callable[[float], str]) -> list[str]:
    return [f"  {name:<12} {text(value)}" for name, value in values.items()]


def _limit(limit: Limit) -> str:
    return f"{units.size(limit.size)} ({limit.source})"
