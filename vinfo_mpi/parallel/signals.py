"""A wish to stop: SIGUSR2, as Slurm sends it some time before it ends a job.

The handler only notes the wish, on the rank that got the signal; the ranks agree on it where their
work can be saved.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_wishes: list[int] = []


def listen() -> None:
    """Note the signal from now on, instead of dying of it."""
    signal.signal(signal.SIGUSR2, lambda number, _: _wishes.append(number))
    signal.siginterrupt(signal.SIGUSR2, False)  # a system call in the middle of a write goes on


@contextmanager
def not_heard_by_children() -> Iterator[None]:
    """Let processes that are started in the block, and theirs, ignore the signal.

    Launchers send it to all of them.
    """
    before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR2, before)


def ignore() -> None:
    """Ignore the signal: the work is done, and the interpreter's end is no time to die of it."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def wished() -> bool:
    """Whether this rank has been asked to stop."""
    return bool(_wishes)
