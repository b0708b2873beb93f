"""Environment that the launcher (mpirun, srun) gives a process, before MPI has started."""

import os
from collections.abc import Mapping

RANK = ("OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID")
SIZE = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")


def rank(environment: Mapping[str, str] = os.environ) -> int:
    """Return this process's rank, 0 where no launcher names one."""
    return _first(environment, RANK, 0)


def size(environment: Mapping[str, str] = os.environ) -> int:
    """Return the number of ranks, 1 where no launcher names it."""
    return _first(environment, SIZE, 1)


def _first(environment: Mapping[str, str], names: tuple[str, ...], default: int) -> int:
    return next((int(environment[name]) for name in names if name in environment), default)
