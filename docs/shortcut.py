"""The sweep of validity.md: does availability, measured before training, predict the shortcut?

python docs/shortcut.py            # trains what is missing in runs/shortcut; tables, picture
python docs/shortcut.py 0 1 2      # with these seeds

Colour and texture both predict the same bit of the label. For every predictivity and difficulty of
colour, config/shortcut.yaml is trained once; see `vinfo_mpi.analyses.bias`.
"""

import os
import sys
from argparse import Namespace
from itertools import product
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from vinfo_mpi import Results
from vinfo_mpi.cli import command
from vinfo_mpi.config.load import load_config
from vinfo_mpi.numerics.correlation import partial_spearman, spearman
from vinfo_mpi.pipeline import engine
from vinfo_mpi.results.schema_bias import AVAILABILITY, BIAS, BIAS_FACTORS, OPTIMUM, RELIANCE

CONFIG = Path(__file__).parents[1] / "config/shortcut.yaml"
FOLDER = Path(os.environ.get("VINFO_RUNS", "runs")) / "shortcut"
PREDICTIVITY = (0.7, 0.8, 0.85, 0.9)
DIFFICULTY = (0.0, 0.4, 0.7, 1.0)
HEAD = "| predictivity | difficulty | V, colour less texture | reliance | optimum | bias |"


def trained(seed, predictivity, difficulty):
    """Return the results of a setting, trained where they are not there."""
    folder = FOLDER / f"predictivity_{predictivity}_difficulty_{difficulty}_seed_{seed}"
    knobs = {"predictivity": predictivity, "difficulty": difficulty}
    settings = [f"data.planted.{name}.colour={value}" for name, value in knobs.items()]
    config = load_config(CONFIG, [f"seed={seed}", *settings])
    names = Namespace(run_dir=folder, verbose=False)
    run = command.run_of("bias", names, config)
    engine.bring_up_to_date(run, ["bias"], False, False)
    return Results(folder)


def row(seed, predictivity, difficulty):
    """Return what a setting gives, by column."""
    results = trained(seed, predictivity, difficulty)
    names = results.names(BIAS_FACTORS)
    pair = [names.index("colour"), names.index("texture")]
    bias, error = results.read_with_error(BIAS)
    colour, texture = results.read(AVAILABILITY)[:, pair].T
    return {
        "seed": seed,
        "predictivity": predictivity,
        "difficulty": difficulty,
        "available": (colour - texture).mean(),
        "available_first": colour[0] - texture[0],
        "reliance": results.read(RELIANCE)[0, pair],
        "optimum": results.read(OPTIMUM)[0, pair],
        "bias": bias[0],
        "error": error[0],
    }


def show(table):
    """Print every setting, mean over the seeds, and what goes with the bias."""
    print(f"\n{HEAD}\n{'|---' * 6}|")
    for (predictivity, difficulty), of in table.groupby(["predictivity", "difficulty"]):
        pairs = [np.stack(of[name]).mean(0) for name in ("reliance", "optimum")]
        shown = " | ".join(" / ".join(f"{value:.2f}" for value in pair) for pair in pairs)
        error = of["bias"].sem() if len(of) > 1 else of["error"].iloc[0]
        print(
            f"| {predictivity} | {difficulty} | {of['available'].mean():+.2f} | {shown} | "
            f"{of['bias'].mean():+.3f} ± {error:.3f} |"
        )
    # Settings of a seed and difficulty have the same untrained network and probes: drawn together.
    cluster = table.groupby(["seed", "difficulty"]).ngroup().to_numpy()
    columns = {name: table[name].to_numpy() for name in table if table[name].dtype != object}
    bias = columns.pop("bias")
    print("\n| rank correlation of the bias with availability | value |\n|---|---|")
    for what, estimate in (
        ("all settings and seeds", spearman(bias, columns["available"], cluster=cluster)),
        ("... of the first tap", spearman(bias, columns["available_first"], cluster=cluster)),
        (
            "... of all taps, given predictivity",
            partial_spearman(
                bias, columns["available"], [columns["predictivity"]], cluster=cluster
            ),
        ),
    ):
        print(f"| {what} | {estimate.value:+.2f} ± {estimate.standard_error:.2f} |")
    for what, shared, other in (
        ("over difficulties: seed and predictivity the same", "seed", "predictivity"),
        ("over seeds: difficulty and predictivity the same", "difficulty", "predictivity"),
    ):
        # What shares untrained networks counts once.
        within = [
            of_network.groupby(other)[["available", "bias"]].corr("spearman").iloc[::2, 1].mean()
            for _, of_network in table.groupby(shared)
        ]
        error = np.std(within, ddof=1) / len(within) ** 0.5 if len(within) > 1 else np.nan
        print(f"| {what}, mean | {np.mean(within):+.2f} ± {error:.2f} |")


def draw(table):
    """Draw the bias over both knobs, and over the availability."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    mean = table.pivot_table(values="bias", index="difficulty", columns="predictivity")
    image = left.imshow(mean, cmap="coolwarm", vmin=-1, vmax=1, aspect="auto")
    for (line, column), value in np.ndenumerate(mean.to_numpy()):
        left.text(column, line, f"{value:+.2f}", ha="center", va="center")
    left.set_xticks(range(mean.shape[1]), mean.columns)
    left.set_yticks(range(mean.shape[0]), mean.index)
    left.set(xlabel="predictivity of colour (texture: 0.9)", ylabel="difficulty of colour")
    figure.colorbar(image, label="bias to colour over texture")
    for predictivity, part in table.groupby("predictivity"):
        right.errorbar(
            part["available"], part["bias"], yerr=part["error"], fmt="o", label=predictivity
        )
    right.axhline(0, color="black", linewidth=0.6)
    right.set(xlabel="V, colour less texture, untrained (mean over taps)", ylabel="bias")
    right.legend(title="predictivity")
    figure.savefig(Path(__file__).parent / "shortcut.png", dpi=110)


if __name__ == "__main__":
    seeds = [int(seed) for seed in sys.argv[1:]] or [0]
    settings = list(product(seeds, PREDICTIVITY, DIFFICULTY))
    rows = [row(*setting) for setting in settings]
    show(pd.DataFrame(rows))
    draw(pd.DataFrame(rows))
