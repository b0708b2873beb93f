"""What a run runs on: versions, MPI, HDF5, and where each rank computes."""

from __future__ import annotations

import platform

import h5py
import torch

import vinfo_mpi
from vinfo_mpi.parallel.ranks import library
from vinfo_mpi.run import Run


def info(run: Run) -> str:
    """Return versions, MPI library, parallel HDF5 or not, and rank, host and device of every rank."""
    lines = [
        f"vinfo_mpi {vinfo_mpi.__version__}, Python {platform.python_version()}, torch {torch.__version__}",
        f"MPI       {library()}",
        f"HDF5      {h5py.version.hdf5_version}, h5py {h5py.__version__}, "
        + ("parallel: all ranks write one file" if h5py.get_config().mpi else "serial: one file per rank, joined"),
        *(f"rank {rank:<4} {binding}" for rank, binding in enumerate(run.bindings)),
    ]
    return "\n".join(lines)
