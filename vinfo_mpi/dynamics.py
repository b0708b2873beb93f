"""Measure when each concept is learned.

V-information from every checkpoint to the final network's codes.

mpirun -n 8 python -m vinfo_mpi.dynamics
"""

from vinfo_mpi.cli import command

if __name__ == "__main__":
    command.main("dynamics", __doc__)
