"""What each launcher tells a process, and how it is read."""

import pytest

from vinfo_mpi.parallel import launcher

# What a process finds in its environment, and the rank and size that follow.
ENVIRONMENTS = {
    "no launcher": ({"PATH": "/bin"}, 0, 1),
    "Open MPI": (
        {"OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_SIZE": "4", "PMIX_RANK": "3"},
        3,
        4,
    ),
    "MPICH": ({"PMI_RANK": "2", "PMI_SIZE": "3"}, 2, 3),
    "srun --mpi=pmix": (
        {
            "PMIX_RANK": "5",
            "SLURM_PROCID": "5",
            "SLURM_STEP_NUM_TASKS": "8",
            "SLURM_NTASKS": "8",
        },
        5,
        8,
    ),
    "srun --mpi=pmi2": (
        {"PMI_RANK": "1", "PMI_SIZE": "2", "SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2"},
        1,
        2,
    ),
    "srun --mpi=none": ({"SLURM_PROCID": "6", "SLURM_STEP_NUM_TASKS": "7"}, 6, 7),
    "a batch script": ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, 0, 1),
    "Open MPI in a batch script": (
        {
            "OMPI_COMM_WORLD_RANK": "3",
            "OMPI_COMM_WORLD_SIZE": "4",
            "SLURM_PROCID": "0",
            "SLURM_STEP_NUM_TASKS": "1",
        },
        3,
        4,
    ),
    "MPICH in a batch script": (
        {"PMI_RANK": "3", "PMI_SIZE": "4", "SLURM_PROCID": "0", "SLURM_NTASKS": "4"},
        3,
        4,
    ),
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_rank_and_size(name):
    environment, rank, size = ENVIRONMENTS[name]
    assert (launcher.rank(environment), launcher.size(environment)) == (rank, size)


def test_it_agrees_with_mpi(mpirun):
    script = (
        "from vinfo_mpi.parallel import launcher; told = launcher.rank(), launcher.size()\n"
        "from mpi4py.MPI import COMM_WORLD; assert told == (COMM_WORLD.rank, COMM_WORLD.size), told"
    )
    assert mpirun(3, "-c", script).returncode == 0
