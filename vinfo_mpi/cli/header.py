"""The head of a log: job, versions, MPI, HDF5, where each rank computes, where it writes."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import h5py
import psutil
import torch

import vinfo_mpi
from vinfo_mpi import units
from vinfo_mpi.parallel.devices import Binding
from vinfo_mpi.parallel.ranks import library
from vinfo_mpi.run.provenance import digest, git_commit
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.atomic import existing


def head(run: Run) -> str:
    """Return what a log begins with; one line per node, however many ranks it has."""
    config = run.config.model_dump(mode="json")
    parallel = h5py.get_config().mpi
    written = (
        "parallel: all ranks write one file" if parallel else "serial: one file per rank, joined"
    )
    hosts = {binding.host for binding in run.bindings}
    facts = {
        "job": job(),
        "program": f"vinfo_mpi {vinfo_mpi.__version__} (commit {git_commit()[:12]}), "
        f"Python {platform.python_version()}, torch {torch.__version__}",
        "experiment": f"{run.config.name}, fingerprint {digest(config)}",
        "folder": f"{run.folder} on {file_system(run.folder)}",
        "MPI": library(),
        "HDF5": f"{h5py.version.hdf5_version}, h5py {h5py.__version__}, {written}",
        "ranks": f"{len(run.bindings)} on {units.counted(len(hosts), 'node')}",
    }
    lines = [f"{name:<11}{text}" for name, text in facts.items() if text]
    lines += [f"  {line}" for line in nodes(run.bindings)]
    return "\n".join(lines)


def job(environment: Mapping[str, str] = os.environ) -> str:
    """Return which of Slurm's jobs this is, how often it was restarted and where it runs.

    Empty outside of Slurm.
    """
    number = environment.get("SLURM_JOB_ID")
    if number is None:
        return ""
    array = environment.get("SLURM_ARRAY_JOB_ID")
    if array is not None:
        number += f" ({array}_{environment.get('SLURM_ARRAY_TASK_ID', '')})"
    hosts = environment.get("SLURM_JOB_NODELIST")
    facts = [
        f"Slurm {number}",
        environment.get("SLURM_JOB_NAME"),
        f"restarted {environment.get('SLURM_RESTART_COUNT', '0')} times",
        f"nodes {hosts}" if hosts else None,
    ]
    return ", ".join(filter(None, facts))


def nodes(bindings: Sequence[Binding]) -> list[str]:
    """Return a line per node: its ranks, their devices, their threads."""
    by_host: dict[str, dict[int, Binding]] = {}
    for rank, binding in enumerate(bindings):
        by_host.setdefault(binding.host, {})[rank] = binding
    width = max(map(len, by_host), default=0)
    return [f"{host:<{width}}  {_node(on_host)}" for host, on_host in by_host.items()]


def ranges(numbers: Iterable[int]) -> str:
    """Return ascending numbers as people write them.

    >>> ranges([0, 1, 2, 5, 7, 8])
    '0-2,5,7-8'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def file_system(folder: Path) -> str:
    """Return the type of the file system that a folder lies on, where, and what is free there."""
    place = existing(folder)
    free = f"{shutil.disk_usage(place).free / 2**30:.1f} GiB free"
    mounted = mount(place.resolve())
    return f"{mounted[1]} at {mounted[0]}, {free}" if mounted else free


def mount(path: Path) -> tuple[Path, str] | None:
    """Return where the file system of an absolute path is mounted and its type.

    None where that cannot be told.
    """
    try:
        partitions = psutil.disk_partitions(all=True)
    except OSError:
        return None
    deepest = None
    for partition in partitions:
        place = Path(partition.mountpoint)
        if place != path and place not in path.parents:
            continue
        # Of two at the same place the later one hides the earlier.
        if deepest is None or len(place.parts) >= len(deepest[0].parts):
            deepest = (place, partition.fstype)
    return deepest


def _node(bindings: Mapping[int, Binding]) -> str:
    """Return what a line says of the ranks of a node."""
    threads = ranges(sorted({binding.threads for binding in bindings.values()}))
    where = f"{'ranks' if len(bindings) > 1 else 'rank'} {ranges(bindings)}"
    each = f"{threads} {'thread' if threads == '1' else 'threads'} each"
    names = ", ".join(sorted({binding.name for binding in bindings.values() if binding.name}))
    if not names:
        return f"{where}, {each}, cpu"
    devices = [
        f"{rank} on {binding.device} {binding.uuid}".rstrip() for rank, binding in bindings.items()
    ]
    return f"{where}, {each}, {names}: {', '.join(devices)}"
