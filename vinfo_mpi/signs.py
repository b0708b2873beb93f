"""Show what the paper found, looked for in a run.

Every sign with its value, standard error, and whether it holds.

python -m vinfo_mpi.signs runs/quickstart
"""

from vinfo_mpi.cli.signs import main

if __name__ == "__main__":
    main(__doc__)
