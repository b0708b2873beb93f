"""Train the network, data-parallel over the ranks, keeping a checkpoint of every epoch.

mpirun -n 8 python -m vinfo_mpi.train
"""

from vinfo_mpi.cli import command

if __name__ == "__main__":
    command.main("train", __doc__)
