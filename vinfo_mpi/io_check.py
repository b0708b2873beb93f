"""Measure how fast all ranks write to a folder and read from it.

One shared file, a file per rank joined, plain files.

mpirun -n 8 python -m vinfo_mpi.io_check --size 4GiB /scratch/me
"""

from vinfo_mpi.cli.io_check import main

if __name__ == "__main__":
    main(__doc__)
