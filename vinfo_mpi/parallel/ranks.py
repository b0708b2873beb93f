"""The ranks of one job: who they are, what they add up, what they agree on.

Without mpirun a job is one rank with the same methods, so that nothing else in the package asks
whether MPI is there.
"""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from mpi4py import MPI

from vinfo_mpi.parallel.partition import block, sizes
from vinfo_mpi.parallel.waiting import wait

K = TypeVar("K")
T = TypeVar("T")
# Elements in one MPI call: MPI's own buffers take up to twice as much, and Open MPI 4 fails above
# 2**31 - 1.
LARGEST_COUNT = 2**21


class Ranks:
    """All ranks of the job, seen from one of them.

    Attributes
    ----------
    rank, size : int
        This rank and how many there are.
    local_rank, local_size : int
        The same among the ranks of this node.
    bytes_sent : int
        What this rank has put into sums and broadcasts so far.
    """

    def __init__(self, comm: MPI.Comm = MPI.COMM_WORLD) -> None:
        self.comm = comm
        self.rank = comm.Get_rank()
        self.size = comm.Get_size()
        self.bytes_sent = 0
        node = comm.Split_type(MPI.COMM_TYPE_SHARED)
        self.local_rank = node.Get_rank()
        self.local_size = node.Get_size()
        node.Free()

    @property
    def is_root(self) -> bool:
        """Whether this is rank 0, the one that talks and writes the small files."""
        return self.rank == 0

    @property
    def threads(self) -> bool:
        """Whether several threads may talk to the other ranks."""
        return self.size == 1 or MPI.Query_thread() == MPI.THREAD_MULTIPLE

    def block(self, total: int) -> range:
        """Return the part of ``range(total)`` that this rank owns."""
        return block(total, self.size, self.rank)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Add a contiguous tensor over all ranks, in place; every rank holds the sum. Returns it.

        What is summed together belongs into one tensor (parts of it as views): one call costs less
        than several. A tensor on a GPU is staged through host memory.
        """
        if self.size > 1:
            for piece in _pieces(values):
                host = _host(piece)
                self.comm.Allreduce(MPI.IN_PLACE, host)
                self._count(host)
                _store(host, piece)
        return values

    def reduce_scatter(self, values: torch.Tensor) -> torch.Tensor:
        """Add a (K, ...) tensor over all ranks and return this rank's block of its first axis."""
        if self.size == 1:
            return values
        counts = np.array(sizes(len(values), self.size))
        flat = values.reshape(len(values), -1)
        of_rank = flat.new_empty(int(counts[self.rank]), flat.shape[1])
        width = max(1, LARGEST_COUNT // max(1, len(flat)))
        buffer = flat.new_empty(len(flat) * min(width, flat.shape[1]))
        for piece, part in zip(flat.split(width, 1), of_rank.split(width, 1), strict=True):
            host = _host(buffer[: piece.numel()].view(piece.shape).copy_(piece))
            received = np.empty(part.shape, host.dtype)
            self.comm.Reduce_scatter(host, received, (counts * host.shape[1]).tolist())
            self._count(host)
            part.copy_(torch.from_numpy(received))
        return of_rank.reshape(len(of_rank), *values.shape[1:])

    def broadcast(self, values: torch.Tensor, root: int) -> torch.Tensor:
        """Copy a contiguous tensor of rank `root` into the same tensor of all others, in place.

        Returns it.
        """
        if self.size > 1:
            for piece in _pieces(values):
                host = _host(piece)
                self.comm.Bcast(host, root=root)
                self._count(host if self.rank == root else host[:0])
                _store(host, piece)
        return values

    def concatenate(self, values: np.ndarray, axis: int = 0) -> np.ndarray:
        """Join the small arrays of all ranks along an axis, in rank order, on every rank."""
        return np.concatenate(self.comm.allgather(values), axis=axis) if self.size > 1 else values

    def join(self, values: torch.Tensor, axis: int = 0) -> torch.Tensor:
        """Join the small tensors of all ranks along an axis; it lies where `values` do."""
        joined = self.concatenate(values.cpu().numpy(), axis)
        return torch.from_numpy(joined).to(values.device)

    def allgather(self, value: T) -> list[T]:
        """Return every rank's value, in rank order, on every rank."""
        return self.comm.allgather(value)

    def union(self, of_rank: Mapping[K, T]) -> dict[K, T]:
        """Return what all ranks hold together, on every rank; no key is of two of them."""
        return {key: value for each in self.allgather(of_rank) for key, value in each.items()}

    def max(self, value: int) -> int:
        """Return the largest of every rank's value."""
        return self.comm.allreduce(value, op=MPI.MAX)

    def largest(self, values: torch.Tensor) -> torch.Tensor:
        """Replace every value of a contiguous tensor by the largest over all ranks. Returns it."""
        if self.size > 1:
            for piece in _pieces(values):
                host = _host(piece)
                self.comm.Allreduce(MPI.IN_PLACE, host, op=MPI.MAX)
                self._count(host)
                _store(host, piece)
        return values

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank."""
        return self.comm.allreduce(bool(flag), op=MPI.LOR)

    def on_root(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call the function on rank 0 alone; every rank gets its value, or raises its error."""
        value: Any = None
        with self.together():
            if self.is_root:
                value = function(*arguments)
        return self.comm.bcast(value)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Fail together: what the block raises on any rank is raised on all, the lowest's first.

        For work that each rank does on its own (reading, checking), so that no rank waits for one
        that has failed.
        """
        error: Exception | None = None
        try:
            yield
        except Exception as caught:
            error = caught
        errors = self.comm.allgather(None if error is None else _portable(error))
        for rank, portable in enumerate(errors):
            if portable is not None:
                raise error if rank == self.rank and error is not None else portable

    def duplicate(self) -> Ranks:
        """Return the same ranks on a communicator of their own, for another thread's calls.

        All ranks together.
        """
        ranks = copy.copy(self)
        ranks.comm = self.comm.Dup()
        return ranks

    def free(self) -> None:
        """Give back the communicator of `duplicate`, all ranks together."""
        self.comm.Free()

    def barrier(self) -> None:
        """Wait for all ranks."""
        self.comm.Barrier()

    def wait(self) -> None:
        """Wait for all ranks in the background.

        MPI would keep the core busy that another thread computes on.
        """
        wait(self.comm.Ibarrier())

    def hosts(self) -> list[str]:
        """Return the host of every rank."""
        return self.allgather(os.uname().nodename)

    def _count(self, host: np.ndarray) -> None:
        self.bytes_sent += host.nbytes


def library() -> str:
    """Return the MPI library's name and version, one line."""
    return MPI.Get_library_version().replace("\x00", "").split("\n")[0].split(",")[0].strip()


def _pieces(values: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return the values in pieces, views of one axis that one call takes."""
    if not values.is_contiguous():
        raise ValueError("only contiguous tensors are sent between ranks")
    return values.detach().view(-1).split(LARGEST_COUNT)


def _host(values: torch.Tensor) -> np.ndarray:
    """Return the values in the processor's memory.

    Those of a GPU in pinned memory, which torch keeps for the next piece: into fresh memory they
    would take fifty times as long.
    """
    if not values.is_cuda:
        return values.detach().numpy()
    return torch.empty_like(values, device="cpu", pin_memory=True).copy_(values).numpy()


def _store(host: np.ndarray, values: torch.Tensor) -> None:
    if values.device.type != "cpu":
        values.copy_(torch.from_numpy(host))


def _portable(error: Exception) -> Exception:
    """Return the error in a form that travels to the other ranks.

    Itself without its traceback, or its text.
    """
    try:
        return pickle.loads(pickle.dumps(error)).with_traceback(None)
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
