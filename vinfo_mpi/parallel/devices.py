"""The device and the threads of a rank."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel import gpus, limits
from vinfo_mpi.parallel.ranks import Ranks


@dataclass(frozen=True)
class Binding:
    """Device on which a rank computes.

    Attributes
    ----------
    host : str
    device : str
        cpu, cuda:0, ...
    name, uuid : str
        The device's name and unique id; empty for the CPU.
    threads : int
        On the CPU.
    card : str
        The GPU's place on the bus, see `Gpu`; empty for the CPU.
    """

    host: str
    device: str
    name: str
    uuid: str
    threads: int
    card: str = ""

    def __str__(self) -> str:
        words = (self.host, self.device, self.name, self.uuid, f"threads={self.threads}")
        return " ".join(filter(None, words))


def assign(visible: Sequence[Sequence[str]]) -> list[int | None]:
    """Return the device of every rank: its number among those that the rank sees, None for the CPU.

    Every rank takes the least used device that it sees, those that see fewest first; the answer is
    the same whoever works it out. A device is known by its unique id: where the launcher has masked
    devices, number 0 of one rank is not that of another.

    Parameters
    ----------
    visible : sequence of sequences of str
        Unique ids of the devices that each rank sees, in the rank's own order.
    """
    chosen: list[int | None] = [None] * len(visible)
    uses: Counter[str] = Counter()
    for rank in sorted(range(len(visible)), key=lambda rank: len(visible[rank])):
        uuids = visible[rank]
        if uuids:
            index = min(range(len(uuids)), key=lambda number: uses[uuids[number]])
            uses[uuids[index]] += 1
            chosen[rank] = index
    return chosen


def bind(ranks: Ranks, setting: str = "auto") -> tuple[torch.device, list[Binding]]:
    """Bind this rank to its device and threads; return the device, and the bindings of all ranks.

    Parameters
    ----------
    ranks : Ranks
    setting : str
        ``cpu``: to no device; ``cuda``: to a GPU; ``auto``: to a GPU where there is one.

    Raises
    ------
    InputError
        On all ranks, where GPUs cannot be used, or some ranks see one and others do not: results
        would depend on which.
    """
    with ranks.together():
        visible = gpus.seen(setting)  # before anything else asks CUDA
    host = os.uname().nodename
    hosts = ranks.hosts()
    masks = ranks.allgather(frozenset(os.sched_getaffinity(0)))
    index = assign(ranks.allgather([gpu.uuid for gpu in visible]))[ranks.rank]
    masks_of_node = [mask for name, mask in zip(hosts, masks, strict=True) if name == host]
    count = _threads(masks_of_node, ranks.local_rank)
    torch.set_num_threads(count)
    if index is None:
        device = torch.device("cpu")
        binding = Binding(host, "cpu", "", "", count)
    else:
        device = torch.device("cuda", index)
        torch.cuda.set_device(device)
        gpu = visible[index]
        binding = Binding(host, str(device), gpu.name, gpu.uuid, count, gpu.card)
    bindings = ranks.allgather(binding)
    check(bindings)
    if ranks.is_root and (problem := shared(bindings)):
        warnings.warn(problem, stacklevel=2)
    return device, bindings


def check(bindings: Sequence[Binding]) -> None:
    """Raise `InputError` where some ranks compute on a GPU, others on the CPU."""
    without = [rank for rank, binding in enumerate(bindings) if not binding.uuid]
    if 0 < len(without) < len(bindings):
        raise InputError(
            f"{len(without)} of {len(bindings)} ranks see no GPU (rank {without[0]} on "
            f"{bindings[without[0]].host} is one): ask for GPUs on every node, or set "
            "machine.device: cpu"
        )


def shared(bindings: Sequence[Binding]) -> str | None:
    """Return in one sentence that ranks share GPUs, None where they do not."""
    uuids = [binding.uuid for binding in bindings if binding.uuid]
    if len(set(uuids)) < len(uuids):
        return f"{len(uuids)} ranks share {len(set(uuids))} GPUs: start one rank per GPU"
    return None


def sharing(bindings: Sequence[Binding], rank: int) -> int:
    """Return how many ranks compute on the same GPU as this one, itself among them."""
    return sum(binding.uuid == bindings[rank].uuid for binding in bindings)


def own_cards(bindings: Sequence[Binding]) -> bool:
    """Whether each rank has a card of its own, as NCCL wants it: no two instances of one GPU."""
    cards = {(binding.host, binding.card) for binding in bindings if binding.card}
    return len(cards) == len(bindings)


def _threads(masks: list[frozenset[int]], local_rank: int) -> int:
    """Return the CPU threads of a rank.

    OMP_NUM_THREADS where it is set, else its share of the cores that it may use.
    """
    from_user = os.environ.get("OMP_NUM_THREADS", "")
    if from_user.isdigit():
        return int(from_user)
    return limits.threads(masks, local_rank, limits.cores(), os.environ.get("SLURM_CPUS_PER_TASK"))
