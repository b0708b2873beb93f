"""Draw the README's picture from a finished run.

python docs/picture.py runs/quickstart docs/quickstart.png
"""

import sys

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from vinfo_mpi import Results

run, path = sys.argv[1:]
plot = Results(run).plot
figure, axes = plt.subplots(2, 2, figsize=(10, 7), layout="constrained")
plot.complexity(axes[0, 0])
plot.vinformation(axes[0, 1])
plot.complexity_temporal(axes[1, 0])
plot.complexity_importance(axes[1, 1])
figure.savefig(path, dpi=110)
