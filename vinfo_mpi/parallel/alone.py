"""Work of one rank while the others wait, before any of them has imported torch."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
from mpi4py import MPI

from vinfo_mpi.parallel.waiting import wait


def crowded() -> bool:
    """Whether any node has more ranks than cores, so that what each of them does takes longer."""
    node = MPI.COMM_WORLD.Split_type(MPI.COMM_TYPE_SHARED)
    cores = frozenset[int]().union(*node.allgather(os.sched_getaffinity(0)))
    too_few = len(cores) < node.Get_size()
    node.Free()
    return MPI.COMM_WORLD.allreduce(too_few, MPI.LOR)


def on_root(function: Callable[[MPI.Comm], bool]) -> bool:
    """Return on all ranks what the function returns on rank 0, while the others leave it the cores.

    Parameters
    ----------
    function : function of a communicator
        Is called on rank 0, with a communicator of that rank alone.
    """
    comm = MPI.COMM_WORLD
    answer = np.zeros(1, np.uint8)
    if comm.Get_rank() == 0:
        answer[0] = function(MPI.COMM_SELF)
    wait(comm.Ibcast(answer))
    return bool(answer[0])
