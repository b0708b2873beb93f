"""Memory of a rank and its device: given back, at its peak, free, and when there is no more."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch

from vinfo_mpi import units
from vinfo_mpi.errors import Failure
from vinfo_mpi.parallel import devices, malloc
from vinfo_mpi.parallel.devices import Binding
from vinfo_mpi.parallel.limits import Limit
from vinfo_mpi.parallel.ranks import Ranks

LIBRARIES = 2**29  # bytes of a device that cuBLAS, cuDNN, cuSOLVER and NCCL take; assumed
# How torch, cuBLAS, cuSOLVER and the processor's allocator say that there is no more memory.
FULL = ("out of memory", "ALLOC_FAILED", "can't allocate memory")


def give_back(device: torch.device) -> None:
    """Give back what is free but kept, to the kernel and to other programs on the device."""
    malloc.give_back()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def forget_peak(device: torch.device) -> None:
    """Let the peak of the device's memory begin anew; that of the processor's cannot."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak() -> int:
    """Return the most memory that this process has held, in bytes.

    Unlike getrusage's, not that of its parent.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def peak_of_device(device: torch.device) -> int:
    """Return the most bytes of tensors on the device since `forget_peak`; 0 for the CPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0


def limit_of_device(ranks: Ranks, bindings: Sequence[Binding]) -> Limit | None:
    """Return the memory that every rank may use of its GPU: the smallest over the ranks.

    None where the ranks compute on the CPU. All ranks call this. What is free of a GPU is divided
    among its ranks; libraries are still to take their part.
    """
    binding = bindings[ranks.rank] if bindings else None
    if binding is None or not binding.uuid:
        return None
    torch.cuda.mem_get_info()  # it makes this rank's context, which is part of what is not free
    ranks.barrier()
    free, _ = torch.cuda.mem_get_info()
    held = torch.cuda.memory_reserved()
    sharing = devices.sharing(bindings, ranks.rank)
    size = max(0.0, free / sharing - LIBRARIES) + held
    source = f"free on {binding.name} {binding.device} of {binding.host}"
    if sharing > 1:
        source += f", {sharing} ranks share it"
    return min(ranks.allgather(Limit(size, source)))


def is_exhausted(error: BaseException) -> bool:
    """Whether an error says that memory, of the processor or of a device, was not to be had."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in FULL)


def of_device(error: BaseException) -> bool:
    """Whether it was the device's memory."""
    return not isinstance(error, MemoryError) and FULL[-1] not in str(error)


def exhausted(error: BaseException, bindings: Sequence[Binding], rank: int) -> str:
    """Return the part of a sentence that says whose memory is full, and what this rank holds."""
    binding = bindings[rank]
    if of_device(error) and binding.uuid:
        free, total = torch.cuda.mem_get_info()
        held = torch.cuda.memory_allocated()
        full = f"{binding.name} ({binding.device}, {units.size(total)})"
        ranks = devices.sharing(bindings, rank)
    else:
        free = psutil.virtual_memory().available
        held = psutil.Process().memory_info().rss
        full = "node"
        ranks = sum(other.host == binding.host for other in bindings)
    sharing = "1 rank uses it" if ranks == 1 else f"{ranks} ranks share it"
    return (
        f"the memory of the {full} on {os.uname().nodename} is full: rank {rank} holds "
        f"{units.size(held)}, {units.size(free)} are free, {sharing}"
    )


@contextmanager
def explained(what: str, bindings: Sequence[Binding], rank: int, remedy: str) -> Iterator[None]:
    """Say in one sentence whose memory is full, should it be in the block, and what to change.

    Raises
    ------
    Failure
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_exhausted(error):
            raise
        raise Failure(f"{what}: {exhausted(error, bindings, rank)}; {remedy}") from error
