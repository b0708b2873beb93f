"""Waiting for other ranks without keeping a core busy."""

from __future__ import annotations

import select

from mpi4py import MPI

POLLING_INTERVAL = 1e-3  # seconds between looks at whether a call in the background is done


def wait(request: MPI.Request) -> None:
    """Wait until a call in the background is done, and leave the core to others meanwhile."""
    while not request.Test():
        # For so long, whatever the time is: time.sleep waits until a moment.
        select.select([], [], [], POLLING_INTERVAL)
