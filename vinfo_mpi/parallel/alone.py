"""What one rank does while the others wait, before any of them has imported torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from mpi4py import MPI

from vinfo_mpi.parallel.waiting import wait


def on_root(function: Callable[[MPI.Comm], bool]) -> bool:
    """Return on all ranks what the function returns on rank 0, which it may take for the only one.

    The others leave the cores to it meanwhile. On a single rank nothing is gained: the function is
    not called, and False is returned.

    Parameters
    ----------
    function : function of a communicator
        Is called on rank 0 with a communicator of that rank alone.
    """
    comm = MPI.COMM_WORLD
    if comm.Get_size() == 1:
        return False
    answer = np.zeros(1, np.uint8)
    if comm.Get_rank() == 0:
        answer[0] = function(MPI.COMM_SELF)
    wait(comm.Ibcast(answer))
    return bool(answer[0])
