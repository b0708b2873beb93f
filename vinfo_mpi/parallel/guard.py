"""What happens to all ranks when one fails: they end, at once, with one message and one exit code."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from mpi4py import MPI

PATIENCE = 2.0  # seconds that a failed rank waits for the others to fail as well, before it ends them


@contextmanager
def guard(comm: MPI.Comm = MPI.COMM_WORLD) -> Iterator[None]:
    """End every rank when the block raises on any of them.

    An exception with an `exit_code` is a sentence for the user and ends with that code; any other shows its
    traceback and ends with 1. If all ranks fail together (they agreed on the error), rank 0 speaks and all leave in
    order; if not, the failed rank speaks and aborts the others, who may be waiting for it in a collective call.
    """
    failures = comm.Dup()  # a channel of its own: the others may be in the middle of a call on `comm`
    try:
        yield
    except BaseException as error:
        if isinstance(error, SystemExit) and error.code in (0, None):
            raise
        code = getattr(error, "exit_code", 1)
        together, code = _agreed(failures, code)
        if comm.Get_rank() == 0 or not together:
            _speak(error, comm.Get_rank(), comm.Get_size())
        if not together:
            comm.Abort(code)
        # Files that are open collectively cannot be closed by ranks that have failed: leave without closing them.
        sys.stdout.flush()
        MPI.Finalize()
        os._exit(code)


def _agreed(failures: MPI.Comm, code: int) -> tuple[bool, int]:
    """Return whether every rank has failed as well, and the exit code: rank 0's if so, else ours."""
    codes = np.full(failures.Get_size(), -1)
    request = failures.Iallgather(np.array([code]), codes)
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        if request.Test():
            return True, int(codes[0])
        time.sleep(0.01)
    return failures.Get_size() == 1, code


def _speak(error: BaseException, rank: int, size: int) -> None:
    if hasattr(error, "exit_code"):
        text = f"vinfo_mpi: {error}\n"
    else:
        where = f"rank {rank} of {size} failed:\n" if size > 1 else ""
        text = where + "".join(traceback.format_exception(error))
    sys.stderr.write(text)
    sys.stderr.flush()
