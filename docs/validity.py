"""The tables and the picture of validity.md, from finished runs.

python docs/validity.py runs/quickstart runs/planted runs/planted_vgg
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt

from vinfo_mpi import Results

digits = Results(sys.argv[1])
planted = [Results(folder) for folder in sys.argv[2:]]

print("| sign | expected | value | comes out |\n|---|---|---|---|")
for row in digits.signs.to_dict("records"):
    value = f"{row['value']:.3f} ± {row['standard_error']:.3f}"
    print(f"| {row['sign']} | {row['expected']} | {value} | {row['verdict']} |")

figure, axes = plt.subplots(
    1, len(planted), figsize=(5 * len(planted), 3.5), layout="constrained", sharey=True
)
for results, ax in zip(planted, axes, strict=True):
    table = results.concepts.set_index("name")
    print(f"\n{results.path.parent.name}\n")
    print("| factor | complexity | temporal score | importance | V-information per tap |")
    print("|---|---|---|---|---|")
    for number, (name, row) in enumerate(table.iterrows()):
        values = results.vinformation[number]
        complexity = f"{row['complexity']:.3f} ± {row['complexity_se']:.3f}"
        temporal = f"{row['temporal']:.3f} ± {row['temporal_se']:.3f}"
        per_tap = " ".join(f"{value:.2f}" for value in values)
        print(f"| {name} | {complexity} | {temporal} | {row['importance']:.2f} | {per_tap} |")
        ax.plot(
            range(len(values)),
            values.to_numpy(),
            marker="o",
            label=f"{name}, K = {row['complexity']:.2f}",
        )
    ax.set(xlabel="tap", title=results.path.parent.name, ylim=(-0.02, 1.02))
    ax.legend(fontsize="small")
axes[0].set_ylabel("V-information")
figure.savefig(Path(__file__).parent / "validity.png", dpi=110)
