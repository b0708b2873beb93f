"""Compare runs of the same images: do the networks see the same, where, with the same concepts?

mpirun -n 8 python -m vinfo_mpi.compare runs/a runs/b [NAME=FOLDER ...]

From stored files alone; writes compare.h5, and compare.html, a page that opens anywhere.
"""

from vinfo_mpi.cli.compare import main

if __name__ == "__main__":
    main(__doc__)
