"""How rich or lazy the features are: the eigenfunctions of the feature map, how they fit the task and what the network uses.

mpirun -n 8 python -m vinfo_mpi.analyses.spectrum
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("spectrum", __doc__)

from functools import partial, reduce
from operator import add

import numpy as np
import torch

from vinfo_mpi.numerics import folds, ridge, spectrum
from vinfo_mpi.numerics.gram import Gram
from vinfo_mpi.numerics.spectrum import FOLDS, Spectrum
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.results import store
from vinfo_mpi.run import freshness
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader
from vinfo_mpi.storage.hdf5 import Table, fixed_width

CURVES = {
    "eigenvalues": ("mean square of the features along each eigenfunction, the largest first", None),
    "quality": ("share of the eigenfunction that lies in the span of the classes", "1"),
    "utilisation": ("share of the eigenfunction that lies in the span of the outputs and the constant", "1"),
    "cumulated_quality": ("sum of the quality so far over the number of outputs", "1"),
    "cumulated_utilisation": ("sum of the utilisation so far over the number of outputs", "1"),
}
NUMBERS = {
    "effective_dimension": (float, "exp of the entropy of the eigenvalues, relative to their sum"),
    "significant": (int, "first eigenfunctions that it takes to hold 90 % of the utilisation"),
    "minimal": (np.uint8, "1 where these are no more than the outputs and the constant have dimensions; 0: extended"),
    "laziness": (float, "1 - CKA of the features and the projection on the outputs: 0 = rich, 1 = lazy"),
}
WITH_ERROR = ("effective_dimension", "laziness")  # the others are counts


def run(run: Run, force: bool = False) -> None:
    """Write the spectrum of the last tap, or of every tap, at every checkpoint."""
    provenance = freshness.provenance(run, "spectrum", "vinfo-results")
    pieces = run.pieces("spectrum", provenance["fingerprint"], force)
    found = []
    for checkpoint in run.progress(run.checkpoints, "spectrum: checkpoints"):
        with run.open_activations(checkpoint) as activations:
            taps = activations.taps if run.config.spectrum.taps == "all" else activations.taps[-1:]
            for tap in taps:
                found.append(pieces.get(f"{checkpoint.name}.{tap}", partial(_at, run, activations, tap)))
                run.safe_point()
            run.clock.bytes_read += activations.bytes_read
    if pieces.reused:
        log.info("spectrum: %d taps reused, %d new", pieces.reused, len(found) - pieces.reused)
    epochs = np.array([one.epoch for one in run.checkpoints])
    both = ("checkpoint", "tap")

    def gathered(name: str) -> np.ndarray:
        """Return the values of all checkpoints and taps: (E, L, ...)."""
        parts = [one[name] for one in found]
        if parts[0].ndim:
            width = max(map(len, parts))
            parts = [np.pad(part, (0, width - len(part)), constant_values=np.nan) for part in parts]
        return np.stack(parts).reshape(len(epochs), len(taps), *parts[0].shape)

    tables = {
        "spectrum/checkpoints": Table(epochs, "epoch; 0 = untrained", "epoch", ("checkpoint",)),
        "spectrum/taps": Table(fixed_width(taps), "names of the taps in forward order", axes=("tap",)),
    }
    for name, (text, units) in CURVES.items():
        tables[f"spectrum/{name}"] = Table(gathered(name), f"{text}; NaN beyond the last", units, (*both, "feature"))
    for name, (dtype, text) in NUMBERS.items():
        tables[f"spectrum/{name}"] = Table(gathered(name).astype(dtype), text, "1", both)
    for name in WITH_ERROR:
        text = f"its standard error (jackknife over {FOLDS} parts of the images)"
        tables[f"spectrum/{name}_se"] = Table(gathered(f"{name}_se"), text, "1", both)
    laziness, significant = (tables[f"spectrum/{name}"].values[:, -1] for name in ("laziness", "significant"))
    log.info("spectrum: laziness %.3f at epoch %d, %.3f at epoch %d; %d significant features then",
             laziness[0], epochs[0], laziness[-1], epochs[-1], significant[-1])  # fmt: skip
    run.ranks.on_root(store.update, run.results, "spectrum", tables, provenance)
    pieces.remove()


def _at(run: Run, activations: ActivationReader, tap: str) -> dict[str, np.ndarray]:
    """Return curves, numbers and standard errors of a tap; the ranks share out the spectra with and without each fold."""
    grams = _grams(run, activations, tap)
    with run.clock.phase("diagonalise"):
        mine = {}
        for left_out in range(run.ranks.rank, FOLDS + 1, run.ranks.size):  # in the last turn none is
            mine[left_out] = _figures(spectrum.of(reduce(add, [gram for fold, gram in enumerate(grams) if fold != left_out])))
    every = {left_out: figures for part in run.ranks.gather(mine) for left_out, figures in part.items()}
    without = {name: np.stack([every[fold][name] for fold in range(FOLDS)]) for name in WITH_ERROR}
    return every[FOLDS] | {f"{name}_se": np.asarray(ridge.jackknife(values)) for name, values in without.items()}


def _grams(run: Run, activations: ActivationReader, tap: str) -> list[Gram]:
    """Return the sums of products of features, outputs and one-hot labels over all ranks' rows, fold by fold."""
    (n, d), outputs = activations.shape(f"taps/{tap}/activations"), activations.shape("outputs")[1]
    labels = activations.read("samples/label")
    fold_of = folds.assign(activations.read("samples/id"), labels, FOLDS)
    shift = run.tensor(activations.read(f"taps/{tap}/shift"))
    grams = [Gram((d, outputs, outputs), run.device) for _ in range(FOLDS)]
    for block in batches(run.ranks.block(n), run.config.machine.rows):
        with run.clock.phase("read"):
            x, y = (run.tensor(activations.read(name, block)) for name in (f"taps/{tap}/activations", "outputs"))
        with run.clock.phase("products"):
            here = slice(block.start, block.stop)
            targets = run.tensor(np.eye(outputs)[labels[here]])
            for fold, gram in enumerate(grams):
                rows = torch.from_numpy(fold_of[here] == fold).to(run.device)
                gram.add(x[rows] + shift, y[rows], targets[rows])
    with run.clock.phase("communicate"):
        return [gram.reduced(run.ranks.sum) for gram in grams]


def _figures(found: Spectrum) -> dict[str, np.ndarray]:
    names = (*CURVES, *NUMBERS)
    return {name: torch.as_tensor(getattr(found, name), dtype=torch.float64).cpu().numpy() for name in names}
