"""What a run runs on: job, versions, MPI, HDF5, where each rank computes, and where everything is written."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import h5py
import torch

import vinfo_mpi
from vinfo_mpi.parallel.devices import Binding
from vinfo_mpi.parallel.ranks import library
from vinfo_mpi.run.provenance import digest, git_commit
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.atomic import existing

MOUNTS = Path("/proc/self/mountinfo")


def head(run: Run) -> str:
    """Return what a log begins with; one line per node, however many ranks it has."""
    config = run.config.model_dump(mode="json")
    facts = {
        "job": job(),
        "program": f"vinfo_mpi {vinfo_mpi.__version__} (commit {git_commit()[:12]}), "
        f"Python {platform.python_version()}, torch {torch.__version__}",
        "experiment": f"{run.config.name}, fingerprint {digest(config)}",
        "folder": f"{run.folder} on {file_system(run.folder)}",
        "MPI": library(),
        "HDF5": f"{h5py.version.hdf5_version}, h5py {h5py.__version__}, "
        + ("parallel: all ranks write one file" if h5py.get_config().mpi else "serial: one file per rank, joined"),
        "ranks": f"{len(run.bindings)} on {len({one.host for one in run.bindings})} nodes",
    }
    return "\n".join(
        [*(f"{name:<11}{text}" for name, text in facts.items() if text), *(f"  {line}" for line in nodes(run.bindings))]
    )


def job(environment: Mapping[str, str] = os.environ) -> str:
    """Return which of Slurm's jobs this is, how often it was restarted and where it runs, empty outside of Slurm."""
    number = environment.get("SLURM_JOB_ID")
    if number is None:
        return ""
    if "SLURM_ARRAY_JOB_ID" in environment:
        number += f" ({environment['SLURM_ARRAY_JOB_ID']}_{environment.get('SLURM_ARRAY_TASK_ID', '')})"
    parts = [
        f"Slurm {number}",
        environment.get("SLURM_JOB_NAME"),
        f"restarted {environment.get('SLURM_RESTART_COUNT', '0')} times",
        f"nodes {nodes}" if (nodes := environment.get("SLURM_JOB_NODELIST")) else None,
    ]
    return ", ".join(filter(None, parts))


def nodes(bindings: Sequence[Binding]) -> list[str]:
    """Return a line per node: its ranks, their devices, their threads."""
    by_host: dict[str, list[int]] = {}
    for rank, binding in enumerate(bindings):
        by_host.setdefault(binding.host, []).append(rank)
    width = max(map(len, by_host), default=0)
    return [f"{host:<{width}}  {_node(ranks, bindings)}" for host, ranks in by_host.items()]


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


def file_system(folder: Path, mounts: Path = MOUNTS) -> str:
    """Return the type of the file system that a folder lies on, where it is mounted, and what is free there."""
    place = existing(folder)
    free = f"{shutil.disk_usage(place).free / 2**30:.1f} GiB free"
    found = mount(place.resolve(), mounts)
    return f"{found[1]} at {found[0]}, {free}" if found else free


def mount(path: Path, mounts: Path = MOUNTS) -> tuple[Path, str] | None:
    """Return where the file system of an absolute path is mounted and its type, None where that cannot be told."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return None
    best = None
    for line in lines:
        before, _, after = line.partition(" - ")
        place = Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), before.split()[4]))  # a blank is \040
        # Of two at the same place the later one hides the earlier.
        if (place == path or place in path.parents) and (best is None or len(place.parts) >= len(best[0].parts)):
            best = (place, after.split()[0])
    return best


def _node(ranks: list[int], bindings: Sequence[Binding]) -> str:
    own = [bindings[rank] for rank in ranks]
    threads = ranges(sorted({one.threads for one in own}))
    where = f"{'ranks' if len(ranks) > 1 else 'rank'} {ranges(ranks)}"
    names = ", ".join(sorted({one.name for one in own if one.name}))
    devices = "cpu"
    if names:
        each = (f"{rank} on {one.device} {one.uuid}".rstrip() for rank, one in zip(ranks, own, strict=True))
        devices = f"{names}: {', '.join(each)}"
    return f"{where}, {threads} {'thread' if threads == '1' else 'threads'} each, {devices}"
