"""Limits of a rank: memory, cores, open files.

What the node has, what its cgroup and Slurm allow. Everything is read below `root`, which is / but
in tests.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from vinfo_mpi.parallel.ranks import Ranks

MIB = 2**20
NO_LIMIT = 2**60  # bytes: what version 1 cgroups say where there is none is larger
ROOT = Path("/")
# Slurm's memory limit of the job on a node, in MiB: the variable, what it is multiplied by, the
# option that sets it.
SLURM_MEMORY = (
    ("SLURM_MEM_PER_NODE", None, "--mem"),
    ("SLURM_MEM_PER_CPU", "SLURM_CPUS_ON_NODE", "--mem-per-cpu"),
    ("SLURM_MEM_PER_GPU", "SLURM_GPUS_ON_NODE", "--mem-per-gpu"),
)


@dataclass(frozen=True, order=True)
class Limit:
    """Bytes that one rank may use in all, and what sets this limit, for people."""

    size: float
    source: str


@dataclass(frozen=True)
class Use:
    """Bytes that this process holds.

    In all, and those of them that it shares with the node's other ranks (libraries).
    """

    total: float
    shared: float

    @classmethod
    def now(cls) -> Use:
        """Return what this process uses."""
        info = psutil.Process().memory_info()
        return cls(info.rss, info.shared)


def memory_of_rank(ranks: Ranks) -> Limit:
    """Return the memory that every rank may use: the smallest over the nodes.

    All ranks call this.
    """
    limit = memory(ranks.local_size, Use.now(), float(psutil.virtual_memory().available))
    limits = ranks.allgather((limit, os.uname().nodename))
    smallest, host = min(limits)
    if len({host for _, host in limits}) == 1:
        return smallest
    return Limit(smallest.size, f"{smallest.source} on {host}")


def memory(
    ranks_on_node: int,
    use: Use,
    available: float,
    environment: Mapping[str, str] = os.environ,
    root: Path = ROOT,
) -> Limit:
    """Return the memory that each of the node's ranks may use, all being like this one.

    What the node (`available` bytes) and the cgroup have free is theirs to divide, beside what they
    hold already. Slurm limits what they hold in all, where shared pages count once.
    """
    limits = []
    for free in (Limit(available, "free on the node"), *cgroup_memory(root)):
        limits.append(Limit(free.size / ranks_on_node + use.total, free.source))
    counted_by_others = use.shared * (1 - 1 / ranks_on_node)
    for of_job in slurm_memory(environment):
        limits.append(Limit(of_job.size / ranks_on_node + counted_by_others, of_job.source))
    return min(limits)


def slurm_memory(environment: Mapping[str, str] = os.environ) -> list[Limit]:
    """Return the job's limit on this node, empty where there is none.

    --mem=0 is the whole node.
    """
    limits = []
    for variable, factor, option in SLURM_MEMORY:
        size = _count(environment.get(variable))
        if factor is not None:
            size *= _count(environment.get(factor))
        if size:
            limits.append(Limit(float(size * MIB), f"Slurm's {option}"))
    return limits


def cgroup_memory(root: Path = ROOT) -> list[Limit]:
    """Return what is free in this process's cgroup and in each above it that has a limit.

    Cached pages of files that were read long ago count as free: the kernel drops them first.
    """
    files = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
    limits = []
    for folder in _cgroups("memory", root):
        for limit_file, use_file in files:
            limit = _number(folder / limit_file)
            use = _number(folder / use_file)
            if limit is not None and use is not None and limit < NO_LIMIT:
                free = max(0.0, limit - use + _inactive(folder))
                limits.append(Limit(free, "free in the cgroup"))
    return limits


def cores(root: Path = ROOT) -> float:
    """Return the cores that the CPU quotas of this process's cgroups amount to.

    Infinite where there are none.
    """
    quotas = [float("inf")]
    for folder in _cgroups("cpu", root):
        # Version 2 keeps both numbers in one file.
        words = _words(folder / "cpu.max") or [
            *_words(folder / "cpu.cfs_quota_us"),
            *_words(folder / "cpu.cfs_period_us"),
        ]
        if len(words) == 2 and all(map(_count, words)):
            quotas.append(_count(words[0]) / _count(words[1]))
    return min(quotas)


def threads(
    masks: Sequence[frozenset[int]],
    index: int,
    quota: float = float("inf"),
    per_task: str | None = None,
) -> int:
    """Return how many threads a rank may have.

    Parameters
    ----------
    masks : sequence of frozenset of int
        The cores that each rank of the node may run on: cores that several may use are divided
        among them.
    index : int
        Which of these ranks is meant.
    quota : float
        Cores' worth of time that the node's ranks have together.
    per_task : str
        Slurm's SLURM_CPUS_PER_TASK.
    """
    of_mask = 0.0
    for core in masks[index]:
        of_mask += 1 / sum(core in mask for mask in masks)
    share = min(of_mask, quota / len(masks), _count(per_task) or float("inf"))
    return max(1, int(share + 1e-9))


def allow_open_files() -> None:
    """Let this process open as many files as the hard limit allows.

    The soft limit is often 1,024.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _cgroups(controller: str, root: Path) -> list[Path]:
    """Return the folders of this process's cgroup and all above it, of both versions.

    In a container /proc names the group as the host does, and only the uppermost folder may be
    there.
    """
    folders: list[Path] = []
    for line in _lines(root / "proc/self/cgroup"):
        number, names, path = line.split(":", 2)
        if number == "0" and not names:
            mounts = ["", "unified"]
        elif controller in names.split(","):
            mounts = [names] if (root / "sys/fs/cgroup" / names).is_dir() else [controller]
        else:
            continue
        for mount in mounts:
            top = root / "sys/fs/cgroup" / mount
            group = top / path.strip("/")
            upwards = (group, *group.parents)
            folders += [folder for folder in upwards if folder == top or top in folder.parents]
    return folders


def _inactive(folder: Path) -> float:
    """Return the bytes of cached pages that are not in use, the groups below included."""
    lines = [line.split() for line in _lines(folder / "memory.stat")]
    values = dict(words for words in lines if len(words) == 2)
    return float(values.get("total_inactive_file", values.get("inactive_file", 0)))


def _number(path: Path) -> int | None:
    words = _words(path)
    return int(words[0]) if words and words[0].isdigit() else None


def _count(text: str | None) -> int:
    """Return the whole number that a text holds, 0 for anything else."""
    return int(text) if text and text.isdigit() else 0


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []
