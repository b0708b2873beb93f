"""Bring the analyses that the configuration asks for up to date, and all that they need.

mpirun -n 8 python -m vinfo_mpi.analyses
"""

from vinfo_mpi.cli import command

if __name__ == "__main__":
    command.main("analyses", __doc__)
