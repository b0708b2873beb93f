"""Draw pictures that activate concepts most.

Of the simplest and the most complex concepts, and of some in between.

mpirun -n 8 python -m vinfo_mpi.visualise
"""

from vinfo_mpi.cli import command

if __name__ == "__main__":
    command.main("visualise", __doc__)
