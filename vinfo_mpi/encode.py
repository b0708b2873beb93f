"""Express the last tap of every image in the dictionary: codes, averaged over positions.

mpirun -n 8 python -m vinfo_mpi.encode
"""

from vinfo_mpi.cli import command

if __name__ == "__main__":
    command.main("encode", __doc__)
