"""Measure how much the decision rests on each concept.

Gradient times input, signed, and its share of the logit's variance.

mpirun -n 8 python -m vinfo_mpi.importance
"""

from vinfo_mpi.cli import command

if __name__ == "__main__":
    command.main("importance", __doc__)
