"""Processes that read images, made ready while the program still looks at the network.

They descend from one process that has imported what reading takes. No fork once MPI has started.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver

from vinfo_mpi.parallel import signals

# Without this each of them would import torch again.
IMPORTS = "vinfo_mpi.data.loading"


def prepare() -> None:
    """Start the process that they descend from, unless it runs; do not wait for its imports."""
    multiprocessing.set_forkserver_preload([IMPORTS])
    with signals.not_heard_by_children():
        multiprocessing.forkserver.ensure_running()
