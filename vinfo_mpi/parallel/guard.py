"""The end of all ranks when one fails: at once, with one message and one exit code."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import numpy as np
from mpi4py import MPI
from tqdm import tqdm

from vinfo_mpi.parallel import logs

PATIENCE = 2.0  # seconds that a failed rank waits for the others to fail too, before it ends them
STOPPED = 75  # exit code of an end on request
# Seconds that the launcher gets to pass the message on: MPICH's drops what it has not read by then.
RELAY_TIME = 0.3


@contextmanager
def guard(comm: MPI.Comm = MPI.COMM_WORLD) -> Iterator[None]:
    """End every rank when the block raises on any of them.

    An exception with an `exit_code` is a sentence for the user and ends with that code; any other
    shows its traceback and ends with 1. If all ranks fail together, the first one with the highest
    code speaks (what the others saw may be a consequence); if not, the failed rank speaks, as the
    others may be waiting for it in a collective call.
    """
    # A channel of its own: the others may be in the middle of a call on `comm`.
    failures = comm.Dup()
    try:
        yield
    except BaseException as error:
        if isinstance(error, SystemExit) and error.code in (0, None):
            raise
        code = getattr(error, "exit_code", 1)
        together, code, speaker = _agreed(failures, code)
        if speaker:
            _speak(error, comm.Get_rank(), comm.Get_size(), together)
        end(code, comm, speaker)


def end(code: int, comm: MPI.Comm, speaker: bool) -> NoReturn:
    """End all ranks at once with this exit code: the speaker aborts, the others wait for it.

    Ranks that left one by one would be killed by the launcher at the first non-zero code, which
    then may return the signal instead. Nothing is closed: files that are open collectively cannot
    be closed by ranks that have failed.
    """
    sys.stdout.flush()
    if comm.Get_size() == 1:
        MPI.Finalize()
        os._exit(code)
    if speaker:
        time.sleep(RELAY_TIME)
        comm.Abort(code)
    time.sleep(5 * PATIENCE)
    os._exit(code)


def _agreed(failures: MPI.Comm, code: int) -> tuple[bool, int, bool]:
    """Return whether all ranks have failed, the exit code, and whether this rank is to speak."""
    codes = np.full(failures.Get_size(), -1)
    request = failures.Iallgather(np.array([code]), codes)
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        if request.Test():
            # What went wrong counts more than that others had been asked to stop.
            speaker = int(np.where(codes == STOPPED, 0, codes).argmax())
            return True, int(codes[speaker]), speaker == failures.Get_rank()
        time.sleep(0.01)
    return failures.Get_size() == 1, code, True


def _speak(error: BaseException, rank: int, size: int, together: bool) -> None:
    if hasattr(error, "exit_code"):
        text = f"vinfo_mpi: {error}\n"
    else:
        where = f"rank {rank} of {size} failed:\n" if size > 1 else ""
        text = where + "".join(traceback.format_exception(error))
    if not together:
        # Rank 0 may have left its line unfinished, in the middle of a progress bar.
        text = "\n" + text
    tqdm.write(text, file=sys.stderr, end="")
    sys.stderr.flush()
    logs.last_words(text.strip())
