"""Write the report: pages that anyone can open.

With every figure, and every concept with the images that show it.

mpirun -n 8 python -m vinfo_mpi.report
"""

from vinfo_mpi.cli import command

if __name__ == "__main__":
    command.main("report", __doc__)
