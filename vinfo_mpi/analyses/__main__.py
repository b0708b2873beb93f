"""Bring the analyses that the configuration asks for up to date, and all that they need.

mpirun -n 8 python -m vinfo_mpi.analyses
"""

if __name__ == "__main__":
    from vinfo_mpi.cli import command

    command.main("analyses", __doc__)
