"""The tables and the picture of seven-ways.md, from finished runs: results.h5 and activations.

python docs/seven_ways.py "digits=runs/sample" "planted=runs/planted" "photographs=runs/cifar"
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from vinfo_mpi import Results, cka
from vinfo_mpi.numerics.correlation import partial_spearman, spearman, spearman_matrix
from vinfo_mpi.results.measures import (
    OF_CONCEPTS,
    OF_VINFORMATION,
    between_concepts,
    of_epochs,
    of_taps,
)
from vinfo_mpi.results.schema import COMPLEXITY, CONFOUNDS, LATE, UNREADABLE
from vinfo_mpi.results.schema_analyses import flow
from vinfo_mpi.storage.activations import ActivationReader

CLEAR = 2  # standard errors from 0
FEWEST_TAPS = 5  # that a rank correlation is given for
FLOW = "flow: shortcut less main"
ALIKE = "CKA with the last tap"


def main(named, picture):
    """Print all tables of these runs, "name=folder", and draw the picture."""
    runs = {name: Results(folder) for name, _, folder in (text.partition("=") for text in named)}
    _show_runs(runs)
    tables = {name: _of_concepts(results) for name, results in runs.items()}
    for quantity in (COMPLEXITY, LATE, UNREADABLE):
        # What the last tap makes readable is all but the unreadable part: nothing is left given it.
        given = () if quantity == UNREADABLE else tuple(CONFOUNDS)
        _show_with(runs, tables, OF_CONCEPTS[quantity], given)
    _show_disagreements(runs)
    taps = {name: _of_taps(results) for name, results in runs.items()}
    _show_along(taps, "mean V-information", "the tap's number")
    _show_along({name: of_epochs(results) for name, results in runs.items()}, "epoch", "")
    draw(runs, taps).savefig(picture, dpi=100)


def draw(runs, taps):
    """Return the figure: every two measures of concepts above, of taps below, a column per run."""
    figure = Figure((3 + 4 * len(runs), 8), layout="constrained")
    axes = figure.subplots(2, len(runs), squeeze=False, height_ratios=(1.6, 1))
    for column, (name, results) in enumerate(runs.items()):
        image = _heat(axes[0, column], *between_concepts(results))
        varying = taps[name].loc[:, taps[name].nunique() > 1].dropna(axis=1)
        matrix = spearman_matrix([varying[measure] for measure in varying])
        _heat(axes[1, column], list(varying), matrix)
        axes[0, column].set_title(f"{name}: concepts")
        axes[1, column].set_title(f"{name}: taps")
    figure.colorbar(image, ax=axes, label="Spearman's correlation", shrink=0.5)
    return figure


def _show_runs(runs):
    """Print what was measured in each run."""
    print("\n| run | network | concepts | taps | epochs | K | unreadable | late |")
    print("|---|---|---|---|---|---|---|---|")
    for name, results in runs.items():
        network = results.settings["score"]["network"]["name"]
        sizes = [len(results.living), len(results.vinformation), len(of_epochs(results))]
        means = [results.mean(part) for part in (COMPLEXITY, UNREADABLE, LATE)]
        cells = [name, network, *sizes, *(_number(m.value, m.standard_error) for m in means)]
        print(f"| {' | '.join(map(str, cells))} |")


def _of_concepts(results):
    """Return a row per living concept, a column per measure."""
    there = {each.column: name for each, name in OF_CONCEPTS.items() if each in results}
    table = results.living[list(there)].rename(columns=there)
    branches = [flow(branch, "vinformation") for branch in ("shortcut", "main")]
    if all(branch in results for branch in branches):
        shortcut, main_branch = (results.read(branch).mean(axis=0) for branch in branches)
        table[FLOW] = pd.Series(shortcut - main_branch, results.concepts.index)
    return table


def _of_taps(results):
    """Return a row per tap, a column per measure; the last tap is no measure of itself."""
    table = of_taps(results)
    with ActivationReader(results.path.parent / f"{results.analysed}.h5") as file:
        *others, last = [file.read(f"taps/{tap}/activations") for tap in table.index]
    table[ALIKE] = [*(cka(vectors, last) for vectors in others), np.nan]
    return table


def _show_with(runs, tables, quantity, given):
    """Print the rank correlation of a quantity with all other measures, and what is left given."""
    said = f"; → given {', '.join(CONFOUNDS[dataset] for dataset in given)}" if given else ""
    print(f"\nWith {quantity}{said}:\n")
    print(f"| measure | {' | '.join(runs)} |\n|---|{'---|' * len(runs)}")
    confounds = [OF_CONCEPTS.get(dataset) for dataset in CONFOUNDS]
    for measure in dict.fromkeys(name for table in tables.values() for name in table):
        if measure == quantity:
            continue
        cells = []
        for name, results in runs.items():
            table = tables[name]
            if measure not in table:
                cells.append("–")
                continue
            pair, cluster = (table[quantity], table[measure]), results.classes_of_living
            cell = _estimate(spearman(*pair, cluster=cluster))
            if given and measure not in confounds and table[measure].nunique() > 1:
                others = [results.living[dataset.column] for dataset in given]
                cell += f" → {_estimate(partial_spearman(*pair, others, cluster=cluster))}"
            cells.append(cell)
        print(f"| {measure} | {' | '.join(cells)} |")


def _show_disagreements(runs):
    """Print the pairs of measures that go together in one run and against each other in another."""
    print(f"\nPairs that clearly differ in sign between runs:\n\n| pair | {' | '.join(runs)} |")
    print(f"|---|{'---|' * len(runs)}")
    of_runs = []
    for results in runs.values():
        names, matrix = between_concepts(results)
        rows, columns = np.tril_indices(len(names), -1)
        of_runs.append(
            {
                (names[column], names[row]): (
                    matrix.values[row, column],
                    matrix.standard_errors[row, column],
                )
                for row, column in zip(rows, columns, strict=True)
            }
        )
    for pair in of_runs[0]:
        found = [of_run.get(pair, (np.nan, np.nan)) for of_run in of_runs]
        signs = {np.sign(value) for value, error in found if abs(value) > CLEAR * error}
        if len(signs) > 1 and not set(pair) <= OF_VINFORMATION:
            cells = [_number(value, error) for value, error in found]
            print(f"| {' ~ '.join(pair)} | {' | '.join(cells)} |")


def _show_along(tables, quantity, given):
    """Print the rank correlation of a column, or the index, with all others over the rows."""
    said = f"; → given {given}" if given else ""
    print(f"\nWith {quantity}{said}:\n\n| measure | {' | '.join(tables)} |")
    print(f"|---|{'---|' * len(tables)}")
    for measure in dict.fromkeys(name for table in tables.values() for name in table):
        if measure == quantity:
            continue
        cells = []
        for table in tables.values():
            column = table.get(quantity, pd.Series(table.index, table.index))
            pair = pd.DataFrame({"x": column, "y": table.get(measure)}).assign(n=range(len(table)))
            pair = pair.dropna()
            if len(pair) < FEWEST_TAPS:
                cells.append("–")
                continue
            cell = _estimate(spearman(pair.x, pair.y))
            if given:
                cell += f" → {_estimate(partial_spearman(pair.x, pair.y, [pair.n]))}"
            cells.append(cell)
        print(f"| {measure} | {' | '.join(cells)} |")


def _heat(ax, names, matrix):
    """Draw correlations below the diagonal; a dot where one is within two errors of 0."""
    below = np.tril(np.ones_like(matrix.values, bool), -1)
    values = np.where(below, matrix.values, np.nan)
    image = ax.imshow(values, vmin=-1, vmax=1, cmap="PuOr", aspect="auto")
    unclear = below & (np.abs(matrix.values) <= CLEAR * matrix.standard_errors)
    ax.plot(*np.nonzero(unclear)[::-1], "k.", markersize=2)
    numbered = [f"{name}  {number}" for number, name in enumerate(names, 1)]
    ax.set_yticks(range(len(names)), numbered, fontsize="x-small")
    ax.set_xticks(range(len(names)), range(1, len(names) + 1), fontsize="x-small")
    ax.spines[:].set_visible(False)
    return image


def _estimate(estimate):
    return _number(estimate.value, estimate.standard_error)


def _number(value, error):
    if not np.isfinite(value):
        return "–"
    return f"{value:.2f} ± {error:.2f}".replace("-", "\N{MINUS SIGN}")


if __name__ == "__main__":
    main(sys.argv[1:], Path(__file__).parent / "seven-ways.png")
