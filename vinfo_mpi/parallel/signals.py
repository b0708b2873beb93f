"""A stop request: SIGUSR2, as Slurm sends it some time before it ends a job, or the first Ctrl-C.

The handler only notes the request, on the rank that got the signal; the ranks agree on it where
their work can be saved. The second Ctrl-C ends the process at once.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

WISHES = (signal.SIGUSR2, signal.SIGINT)
SENTENCE = b"\nvinfo_mpi: stopping where the work can be saved; Ctrl-C again ends at once\n"
_wishes: list[int] = []


def listen() -> None:
    """Note the signals from now on, instead of dying of them."""
    for number in WISHES:
        _handle(number, _note)


def _handle(number: int, handler: Any) -> None:
    signal.signal(number, handler)
    signal.siginterrupt(number, False)  # a system call in the middle of a write continues


def _note(number: int, _: object) -> None:
    _wishes.append(number)
    if number == signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.write(2, SENTENCE)  # in one piece, whatever the program was writing


@contextmanager
def not_heard_by_children() -> Iterator[None]:
    """Let processes that are started in the block, and theirs, ignore the signals.

    Launchers and terminals send them to all of them.
    """
    before = {number: signal.signal(number, signal.SIG_IGN) for number in WISHES}
    try:
        yield
    finally:
        for number, handler in before.items():
            _handle(number, handler)


def ignore() -> None:
    """Ignore the signals: the work is done, and they must not kill the interpreter at its end."""
    for number in WISHES:
        signal.signal(number, signal.SIG_IGN)


def wished() -> bool:
    """Whether this rank has been asked to stop."""
    return bool(_wishes)
