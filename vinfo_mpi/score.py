"""Score every concept: V-information at every tap of the final network, and complexity.

mpirun -n 8 python -m vinfo_mpi.score
"""

from vinfo_mpi.cli import command

if __name__ == "__main__":
    command.main("score", __doc__)
