"""Compare runs of the same images: do the networks see the same, where, with the same concepts?

mpirun -n 8 python -m vinfo_mpi.compare runs/a runs/b [NAME=FOLDER ...]

From stored files alone; writes compare.h5, and compare.html, a page that opens anywhere.
With --phases, on one rank, phases.csv and phases.pdf from what analyses.patterns has found.
"""

from vinfo_mpi.cli import command, compare
from vinfo_mpi.parallel import signals

if __name__ == "__main__":
    options = compare.parse(__doc__)
    signals.listen()
    show = compare.chart_phases if options.phases else compare.compare_runs
    command.guarded(lambda: show(options.runs, options.out))
