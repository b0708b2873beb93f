"""The tables and the picture of validity.md, from finished runs.

python docs/validity.py planted runs/planted_resnet_0 ... runs/planted_vgg_0 ...
python docs/validity.py signs "Digits, 30=runs/quickstart" "Fashion-MNIST=runs/fashion_mnist" ...
python docs/validity.py seeds runs/seed0 ... runs/seed4
python docs/validity.py atoms "3 per class=runs/seed?_3" "joint, 20=runs/seed?_joint20" ...

Of planted runs, those of one network in a row of several seeds; the first of each is drawn.
"""

import sys
from pathlib import Path

import h5py
import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import spearmanr

from vinfo_mpi import Results
from vinfo_mpi.results.facts import facts
from vinfo_mpi.results.schema import COMPLEXITY, COMPLEXITY_LIMIT, LATE, UNREADABLE
from vinfo_mpi.results.schema_sedimentation import (
    MEAN_COMPLEXITY,
    MEAN_PARTS,
    OWN_CORRELATION,
    OWN_EPOCHS,
    TOP_COMPLEXITY,
)

PARTS = ("complexity", "unreadable", "late", "discarded")
OF_ATOMS = (
    ("unreadable ~ variance", "unreadable", "variance"),
    ("K ~ importance", "complexity", "importance"),
    ("late ~ importance", "late", "importance"),
    ("late ~ temporal score", "late", "temporal"),
    ("given variance", "late", "temporal", ["variance"]),
)


def show_planted(folders):
    """Print the parts of every factor over the seeds of each network, and draw the first."""
    networks = {}
    for folder in folders:
        results = Results(folder)
        name = results.settings["score"]["network"]["name"]
        networks.setdefault(name, []).append(results)
    figure, axes = plt.subplots(
        1, len(networks), figsize=(5 * len(networks), 3.5), layout="constrained", sharey=True
    )
    for (name, runs), ax in zip(networks.items(), np.atleast_1d(axes), strict=True):
        print(f"\n{name}, {len(runs)} seeds:\n")
        print("| factor | K | unreadable | late | discarded | importance | V per tap, first seed |")
        print("|---|---|---|---|---|---|---|")
        tables = [results.concepts.set_index("name") for results in runs]
        for number, factor in enumerate(tables[0].index):
            cells = [_range(table.loc[factor, part] for table in tables) for part in PARTS]
            cells.append(_range((table.loc[factor, "importance"] for table in tables), 1))
            values = runs[0].vinformation[number].to_numpy()
            cells.append(" ".join(f"{value:.2f}" for value in values))
            print(f"| {factor} | {' | '.join(cells)} |")
            ax.plot(range(1, len(values) + 1), values, marker="o", label=factor)
        ax.set(xlabel="tap", title=name, ylim=(-0.02, 1.02))
    axes[0].set_ylabel("V-information")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
    figure.savefig(Path(__file__).parent / "validity.png", dpi=110)


def show_signs(named):
    """Print what the studies are, their signs, and the signs of parts and without confounds."""
    studies = {name: Results(folder) for name, _, folder in (text.partition("=") for text in named)}
    print(
        "\n| study | images | right | error of the concepts | concepts | K | unreadable | late "
        "| complexity_limit |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    images = set()
    for name, results in studies.items():
        about = facts(results)
        means = [results.mean(part) for part in (COMPLEXITY, UNREADABLE, LATE)]
        images.add(about.analysed)
        if COMPLEXITY_LIMIT in results:
            means.append(results.mean(COMPLEXITY_LIMIT))
        cells = [f"{mean.value:.3f} ± {mean.standard_error:.3f}" for mean in means]
        right = f"{100 * about.predictions.right / about.predictions.images:.1f} %"
        error = f"{about.fidelity['relative_error']:.3f}"
        cells += ["–"] * (4 - len(cells))
        row = [name, f"{about.analysed:,}", right, error, str(about.alive), *cells]
        print(f"| {' | '.join(row)} |")
    if len(images) > 1:
        print(
            "\nThe studies have different numbers of images: K and its parts depend on that number "
            "and cannot be compared between them; complexity_limit can."
        )
    tables = [results.signs for results in studies.values()]
    whole = tables[0][["sign", "expected"]]
    expected = whole.expected != ""
    without_and_in_parts = ~expected & whole.sign.str.contains("~")
    for rows in (expected, without_and_in_parts):
        print(f"\n| sign | expected | {' | '.join(studies)} |")
        print("|---|---|" + "---|" * len(studies))
        for number in np.flatnonzero(rows):
            cells = " | ".join(_judged(table.iloc[number]) for table in tables)
            print(f"| {whole.sign[number]} | {whole.expected[number]} | {cells} |")


def show_seeds(folders):
    """Print what a run prints, and its signs, as mean and standard deviation over trainings."""
    runs = [Results(folder) for folder in folders]
    numbers = {
        "held-out images correct": [_right(results) for results in runs],
        "mean complexity": [results.mean(COMPLEXITY).value for results in runs],
    }
    for part in PARTS[1:]:
        numbers[f"... {part}"] = [results.mean(part).value for results in runs]
    for part in PARTS[1:]:
        name = f"share of the variance of K over the concepts: {part}"
        numbers[name] = [_share(results.concepts, part) for results in runs]
    taps = [results.vinformation.mean(axis="columns") for results in runs]
    numbers["mean V-information of the first tap"] = [means.iloc[0] for means in taps]
    numbers["... of the last tap"] = [means.iloc[-1] for means in taps]
    numbers["smallest complexity"] = [results.concepts.complexity.min() for results in runs]
    numbers["largest complexity"] = [results.concepts.complexity.max() for results in runs]
    numbers["distinct concepts"] = [
        facts(results).concepts - facts(results).repeated for results in runs
    ]
    print(f"\n| | mean ± SD over {len(runs)} seeds | smallest | largest |\n|---|---|---|---|")
    for name, values in numbers.items():
        print(f"| {name} | {_spread(values)} | {min(values):.3g} | {max(values):.3g} |")
    simplest = [results.concepts.complexity.nsmallest(3).index.tolist() for results in runs]
    print(f"\nThe three simplest concepts: {simplest}")
    print(f"\n| sign | expected | mean ± SD over {len(runs)} seeds | error of one run | holds |")
    print("|---|---|---|---|---|")
    tables = [results.signs for results in runs]
    for number, (sign, expected) in enumerate(tables[0][["sign", "expected"]].to_numpy()):
        rows = [table.iloc[number] for table in tables]
        values = [row.value for row in rows if np.isfinite(row.value)]
        if values:
            error = np.mean([row.standard_error for row in rows])
            print(f"| {sign} | {expected} | {_spread(values)} | {error:.3f} | {_counted(rows)} |")
    if all(MEAN_COMPLEXITY in results for results in runs):
        epochs = runs[0].read(OWN_EPOCHS)
        print(f"\n| own concepts of epoch | {' | '.join(map(str, epochs))} |")
        print("|---|" + "---|" * len(epochs))
        for dataset in (MEAN_COMPLEXITY, *MEAN_PARTS.values(), TOP_COMPLEXITY, OWN_CORRELATION):
            curves = np.array([results.read(dataset) for results in runs])
            print(f"| {dataset.column} | {' | '.join(map(_spread, curves.T))} |")


def show_atoms(named):
    """Print what the dictionaries of the same networks give, a row each, each training in turn."""
    titles = ["dictionary", "atoms", "channels", "nearest atom", "channels of an atom", "kept"]
    titles += ["K", *PARTS[1:3], "share of the variance of K: unreadable", "late"]
    titles += ["unreadable ~ nearest atom", *(title for title, *_ in OF_ATOMS)]
    print(f"\n| {' | '.join(titles)} |\n{'|---' * len(titles)}|")
    for name, _, pattern in (text.partition("=") for text in named):
        runs = [Results(folder) for folder in sorted(Path().glob(pattern))]
        abouts = [facts(results) for results in runs]
        directions = [_directions(results) for results in runs]
        cells = [name, str(abouts[0].concepts), str(list(abouts[0].widths.values())[-1])]
        cells.append(_in_turn((np.median(_nearest(atoms)) for atoms in directions), 2))
        cells.append(_in_turn((np.median(1 / (atoms**4).sum(axis=1)) for atoms in directions), 1))
        cells.append(_in_turn((about.fidelity["predictions_kept"] for about in abouts), 3))
        cells += [_in_turn((results.mean(part).value for results in runs), 3) for part in PARTS[:3]]
        for part in PARTS[1:3]:
            cells.append(_in_turn((_share(results.concepts, part) for results in runs), 2))
        pairs = zip(runs, directions, strict=True)
        cells.append(_in_turn((_with_nearest(results, atoms) for results, atoms in pairs), 2))
        for _, *asked in OF_ATOMS:
            if asked[1] not in runs[0].concepts:  # a single checkpoint has no temporal score
                cells.append("–")
                continue
            correlations = [results.correlation(*asked) for results in runs]
            cells.append(
                " / ".join(f"{c.value:+.2f} ± {c.standard_error:.2f}" for c in correlations)
            )
        print(f"| {' | '.join(cells)} |")


def _directions(results):
    """Return the atoms of a run's dictionary, of unit length."""
    with h5py.File(results.path.parent / "dictionary.h5") as file:
        atoms = file["atoms"][:]
    return atoms / np.linalg.norm(atoms, axis=1, keepdims=True)


def _nearest(directions):
    """Return the cosine of every atom with the atom nearest to it."""
    cosines = directions @ directions.T
    np.fill_diagonal(cosines, -1)
    return cosines.max(axis=1)


def _with_nearest(results, directions):
    """Return the rank correlation of what is unreadable with the cosine of the nearest atom."""
    return spearmanr(_nearest(directions), results.concepts.unreadable).statistic


def _in_turn(values, digits):
    """Return the values of several trainings beside each other."""
    return " / ".join(f"{value:.{digits}f}" for value in values)


def _right(results):
    """Return the share of the held-out images that are classified as their label."""
    predictions = facts(results).predictions
    return predictions.right / predictions.images


def _share(concepts, part):
    """Return the share of the variance of K over the concepts that a part has."""
    return concepts[[part, "complexity"]].cov().iloc[0, 1] / concepts.complexity.var()


def _spread(values):
    """Return the mean over trainings, and the standard deviation of one."""
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def _counted(rows):
    """Return how many trainings have each verdict."""
    verdicts = [row.verdict for row in rows if row.verdict]
    return ", ".join(f"{verdict} {verdicts.count(verdict)}" for verdict in dict.fromkeys(verdicts))


def _range(values, digits=3):
    """Return the mean of several runs, with the smallest and the largest."""
    values = np.array(list(values), float)
    mean, low, high = (
        f"{value:.{digits}f}".replace("-0." + "0" * digits, "0." + "0" * digits)
        for value in (values.mean(), values.min(), values.max())
    )
    return f"{mean} ({low} to {high})"


def _judged(row):
    """Return a sign's value, error and verdict."""
    if not np.isfinite(row.value):
        return "–"
    error = f" ± {row.standard_error:.2f}" if np.isfinite(row.standard_error) else ""
    return f"{row.value:+.2f}{error} {row.verdict}".strip()


SHOWN = {"planted": show_planted, "signs": show_signs, "seeds": show_seeds, "atoms": show_atoms}
SHOWN[sys.argv[1]](sys.argv[2:])
