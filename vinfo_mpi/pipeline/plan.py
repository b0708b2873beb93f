"""What a run will take before it takes it: images, taps, disk, memory, operations; and what is at hand."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import vinfo_mpi
from vinfo_mpi import units
from vinfo_mpi.costs import communication, disk, memory, operations
from vinfo_mpi.costs.sizes import Sizes
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks.checkpoints import content_key
from vinfo_mpi.parallel.limits import Limit
from vinfo_mpi.run.provenance import digest, git_commit
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.atomic import existing, write_text

GIB = 2**30
# The settings that sizes follow from; the others enter the formulas of `vinfo_mpi.costs`.
MEASURED: dict[str, Any] = dict.fromkeys(("seed", "data", "network", "train", "extract", "dictionary"), True)
MEASURED["machine"] = {"batch", "workers"}
REMEDIES = {
    "train": "use more ranks, or lower train.batch or machine.batch",
    "extract": "lower machine.batch",
    "dictionary": "use more ranks, or lower data.per_class or extract.positions",
    "encode": "lower machine.rows or the number of concepts",
    "score": "use more ranks, or lower score.folds or the number of concepts",
    "dynamics": "use more ranks, or lower score.folds or the number of concepts",
    "visualise": "use more ranks, or lower machine.batch or visualise.concepts, .extremes and .per_decile",
}


@dataclass
class Plan:
    """Figures of a run, in bytes and floating-point operations; memory is per rank.

    Attributes
    ----------
    facts : dict of str to str
        What is run on what.
    disk, memory, operations, communication : dict of str to float
        By kind of file, by stage, by stage, by stage.
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
    communication: dict[str, float]
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
        lines += [
            "",
            f"{'communication':<14} {units.size(sum(self.communication.values()))} into sums and broadcasts, over all ranks",
        ]
        lines += [f"  {name:<12} {units.size(value)}" for name, value in self.communication.items()]
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


def make(run: Run, sizes: Sizes, memory_limit: Limit) -> Plan:
    """Return the plan of a run; `memory_limit` is what every rank may use."""
    hosts = [binding.host for binding in run.bindings]
    machine, data, name = run.config.machine, run.config.data, run.config.network.name or run.config.network.target
    widths = ", ".join(f"{name} ({width})" for name, width in sizes.widths.items())
    facts = {
        "run": str(run.folder),
        "network": f"{name}, {sizes.weights / 4:.3g} parameters, {sizes.checkpoints} checkpoints",
        "data": f"{data.source}, {sizes.n} images of {sizes.size} pixels analysed, {len(sizes.classes)} classes",
        "taps": f"{len(sizes.widths)}: {widths}",
        "last tap": f"{sizes.positions} of {sizes.map} positions, {sizes.d} channels",
        "concepts": str(sizes.concepts),
        "ranks": f"{run.ranks.size} on {len(set(hosts))} nodes, {run.device}",
        "storage": run.storage,
    }
    space = disk.of(sizes, run.config, run.ranks.size, run.storage == "parallel")
    return Plan(
        facts,
        space,
        disk.temporary(sizes, run.config),
        memory.of(sizes, run.config, run.ranks.size),
        sizes.base,
        operations.of(sizes, run.config),
        communication.of(sizes, run.config, run.ranks.size),
        Limit(machine.disk_limit * GIB, "machine.disk_limit") if machine.disk_limit else _free_disk(run.folder, space),
        Limit(machine.memory_limit * GIB, "machine.memory_limit") if machine.memory_limit else memory_limit,
    )


def known(run: Run) -> Sizes | None:
    """Return what was measured for a run like this before, None where nothing was, or it is damaged."""
    try:
        content = json.loads(_path(run).read_text())
        return Sizes(**content["sizes"]) if content["fingerprint"] == _fingerprint(run, content["sizes"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep(run: Run, sizes: Sizes) -> None:
    """Write down what was measured: the next job of this run need not load data and network for it."""
    content = {"fingerprint": _fingerprint(run, asdict(sizes)), "sizes": asdict(sizes)}
    write_text(_path(run), json.dumps(content, indent=1))


def _path(run: Run) -> Path:
    return run.folder / "plan.json"


def _fingerprint(run: Run, sizes: dict[str, Any]) -> str:
    """Return what identifies these numbers and all that they follow from."""
    program = [vinfo_mpi.__version__, git_commit(), torch.__version__]
    settings = run.config.model_dump(mode="json", include=MEASURED)
    atoms, names = run.config.dictionary.file, [one.name for one in run.checkpoints]
    return digest(program, settings, atoms and content_key(atoms), run.ranks.size, run.device.type, names, sizes)


def _free_disk(folder: Path, needed: dict[str, float]) -> Limit:
    """Return what the file system has free, counting what this run has written already as free."""
    place = existing(folder)
    used = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0
    return Limit(float(shutil.disk_usage(place).free + min(used, sum(needed.values()))), f"free at {place}")


def _of(limit: Limit) -> str:
    return f"{units.size(limit.size)} ({limit.source})"
