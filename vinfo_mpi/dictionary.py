"""Make a dictionary of concepts of the last tap of the final network, all ranks together.

mpirun -n 8 python -m vinfo_mpi.dictionary
"""

from vinfo_mpi.cli import command

if __name__ == "__main__":
    command.main("dictionary", __doc__)
