"""Which device and how many threads a rank uses."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass

import torch

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


def choose(local_rank: int, visible: int) -> int | None:
    """Return the index of the device for a rank among the `visible` ones of its node, None for the CPU.

    Where the launcher has masked the devices already (each rank sees its own as number 0) this is right as well.
    """
    return local_rank % visible if visible else None


def threads(cores: int, ranks_on_node: int, wanted: str | None) -> int:
    """Return the CPU threads of a rank: OMP_NUM_THREADS where set, else its share of the allowed cores."""
    return int(wanted) if wanted and wanted.isdigit() else max(1, cores // ranks_on_node)


def bind(ranks: Ranks, wanted: str = "auto") -> tuple[torch.device, list[Binding]]:
    """Bind this rank to its device (``cpu``: to none) and threads; return the device and the bindings of all ranks."""
    index = choose(ranks.local_rank, 0 if wanted == "cpu" else torch.cuda.device_count())
    count = threads(len(os.sched_getaffinity(0)), ranks.local_size, os.environ.get("OMP_NUM_THREADS"))
    torch.set_num_threads(count)
    host = os.uname().nodename
    if index is None:
        device, mine = torch.device("cpu"), Binding(host, "cpu", "", "", count)
    else:
        device = torch.device("cuda", index)
        torch.cuda.set_device(device)
        properties = torch.cuda.get_device_properties(device)
        mine = Binding(host, str(device), properties.name, str(properties.uuid), count)
    bindings = ranks.gather(mine)
    devices = {(one.host, one.uuid) for one in bindings if one.uuid}
    if ranks.is_root and devices and len(devices) < len(bindings):
        warnings.warn(f"{len(bindings)} ranks share {len(devices)} GPUs: start one rank per GPU", stacklevel=2)
    return device, bindings
