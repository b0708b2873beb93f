"""A walk through the results of a run.

A notebook as a script: editors such as VS Code run it cell by cell.

VINFO_RUN=runs/quickstart python docs/explore.py
"""

# %% Open a run: its folder, or the path of its results.h5
import os
from pathlib import Path

import matplotlib.pyplot as plt

from vinfo_mpi import Results
from vinfo_mpi.figures import catalogue
from vinfo_mpi.figures.paper import VENUES

results = Results(os.environ.get("VINFO_RUN", "runs/quickstart"))
print(results.path, results.attributes["created"], "stages:", ", ".join(results.inputs))

# %% Concepts are a pandas table: a row for each, a column for whatever a stage has found
living = results.concepts[results.concepts["alive"]]
print(
    living[["class", "complexity", "complexity_se", "importance"]].sort_values("complexity").head()
)

# %% ... so that questions are one line: mean complexity and number of each class's concepts
print(
    living.groupby("class")["complexity"]
    .agg(["mean", "sem", "count"])
    .rename(index=dict(enumerate(results.classes)))
)

# %% Where does the network make the simplest and the most complex concept available?
ends = [living["complexity"].idxmin(), living["complexity"].idxmax()]
print(results.vinformation[ends].round(2))

# %% Rank correlations have a standard error; the paper's findings, looked for here, are a table
print(results.correlation("complexity", "importance"))
print(results.signs[["sign", "expected", "value", "verdict"]].to_string(index=False))

# %% Figures: what there is and what to see in it; what is lacking and how to get it
for figure in catalogue.available(results):
    print(f"{figure.name:<28} {figure.sentence(results)}")
for figure in catalogue.missing(results):
    print(f"{figure.name:<28} not computed: {figure.command(results)}")

# %% Draw them on axes of your own. Without axes, `results.plot.complexity()` gives a paper's,
# which a notebook shows
drawn, axes = plt.subplots(2, 2, figsize=(9, 6), layout="constrained")
results.plot.complexity(axes[0, 0])
results.plot.vinformation(axes[0, 1])
results.plot.complexity_importance(axes[1, 0])
temporal = results.plot.complexity_temporal(axes[1, 1])
temporal.axhline(living["temporal"].mean(), color="0.5")  # axes: go on drawing

# %% Take it along: figures for a paper, the table for other programs, any dataset as an array
output = Path("explored")
# .pdf and .png as wide as NeurIPS has them, and captions.tex with a sentence of each
catalogue.write(results, output, ["complexity", "complexity_importance"], VENUES["neurips"])
drawn.savefig(output / "overview.png")
results.to_csv(output / "concepts.csv")
results.to_parquet(output / "concepts.parquet")
print(results.read("penalty").shape, *sorted(path.name for path in output.iterdir()))

# %% The same measures on arrays of your own, without a run: here pixels and a random layer
import numpy as np
from sklearn.datasets import load_digits

from vinfo_mpi import NMF, complexity, vinformation

pixels = load_digits().data / 16
layer = np.maximum(pixels @ np.random.default_rng(0).normal(size=(64, 32)), 0)

codes = NMF(concepts=5).fit(layer).encode(layer)
scores = vinformation({"pixels": pixels, "layer": layer}, codes)
print(complexity(scores).to_frame()[["complexity", "unreadable", "late", "discarded"]].round(2))
