"""Show any file of a run to a person.

What it is, where it comes from, what it holds, from where to where its values go.

python -m vinfo_mpi.inspect runs/quickstart/results.h5
"""

from vinfo_mpi.cli.inspect import main

if __name__ == "__main__":
    main(__doc__)
