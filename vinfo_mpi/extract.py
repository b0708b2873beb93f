"""Run every checkpoint over the images and store what its taps show, in one file per checkpoint.

mpirun -n 8 python -m vinfo_mpi.extract
"""

from vinfo_mpi.cli import command

if __name__ == "__main__":
    command.main("extract", __doc__)
