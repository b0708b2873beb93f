"""Which device and how many threads a rank uses."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from vinfo_mpi.parallel import limits
from vinfo_mpi.parallel.ranks import Ranks


@dataclass(frozen=True)
class Binding:
    """Where a rank computes: host, device (cpu, cuda:0, ...), the device's name and unique id, CPU threads."""

    host: str
    device: str
    name: str
    uuid: str
    threads: int

    def __str__(self) -> str:
        return " ".join(filter(None, (self.host, self.device, self.name, self.uuid, f"threads={self.threads}")))


def assign(visible: Sequence[Sequence[str]]) -> list[int | None]:
    """Return the device of every rank: its number among those that the rank sees, None for the CPU.

    Every rank takes the least used device that it sees, those that see fewest first; the answer is the same whoever
    works it out. A device is known by its unique id: where the launcher has masked devices, number 0 of one rank is not
    that of another.

    Parameters
    ----------
    visible : sequence of sequences of str
        Unique ids of the devices that each rank sees, in the rank's own order.
    """
    chosen: list[int | None] = [None] * len(visible)
    used: Counter[str] = Counter()
    for rank in sorted(range(len(visible)), key=lambda rank: len(visible[rank])):
        if seen := visible[rank]:
            chosen[rank] = index = min(range(len(seen)), key=lambda number: used[seen[number]])
            used[seen[index]] += 1
    return chosen


def bind(ranks: Ranks, wanted: str = "auto") -> tuple[torch.device, list[Binding]]:
    """Bind this rank to its device (``cpu``: to none) and threads; return the device and the bindings of all ranks."""
    seen = range(0 if wanted == "cpu" else torch.cuda.device_count())  # before anything else asks CUDA
    uuids = [str(torch.cuda.get_device_properties(index).uuid) for index in seen]
    host = os.uname().nodename
    every = ranks.gather((host, uuids, frozenset(os.sched_getaffinity(0))))
    index = assign([uuids for _, uuids, _ in every])[ranks.rank]
    count = _threads([mask for other, _, mask in every if other == host], ranks.local_rank)
    torch.set_num_threads(count)
    if index is None:
        device, mine = torch.device("cpu"), Binding(host, "cpu", "", "", count)
    else:
        device = torch.device("cuda", index)
        torch.cuda.set_device(device)
        mine = Binding(host, str(device), torch.cuda.get_device_properties(device).name, uuids[index], count)
    bindings = ranks.gather(mine)
    if ranks.is_root and (problem := misplaced(bindings)):
        warnings.warn(problem, stacklevel=2)
    return device, bindings


def misplaced(bindings: Sequence[Binding]) -> str | None:
    """Return what is wrong with where the ranks compute, in one sentence, None if all is well."""
    on_gpu = [one.uuid for one in bindings if one.uuid]
    if on_gpu and len(on_gpu) < len(bindings):
        return f"{len(bindings) - len(on_gpu)} of {len(bindings)} ranks see no GPU and use the CPU: ask for GPUs on every node"
    if len(set(on_gpu)) < len(on_gpu):
        return f"{len(on_gpu)} ranks share {len(set(on_gpu))} GPUs: start one rank per GPU"
    return None


def _threads(masks: list[frozenset[int]], local_rank: int) -> int:
    """Return the CPU threads of a rank: OMP_NUM_THREADS where set, else its share of the cores it may use."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdigit():
        return int(wanted)
    return limits.threads(masks, local_rank, limits.cores(), os.environ.get("SLURM_CPUS_PER_TASK"))
