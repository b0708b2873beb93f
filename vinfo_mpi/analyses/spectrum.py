"""Rich or lazy features: the eigenfunctions of the feature map.

How they fit the task, and which of them the network uses.

mpirun -n 8 python -m vinfo_mpi.analyses.spectrum
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("spectrum", __doc__)

from collections.abc import Mapping
from functools import partial, reduce
from operator import add
from typing import Any

import numpy as np
import torch

from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.formulas import NUMBER
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.numerics import folds, spectrum
from vinfo_mpi.numerics.arrays import stack_padded
from vinfo_mpi.numerics.complexity import jackknife
from vinfo_mpi.numerics.gram import Gram
from vinfo_mpi.numerics.spectrum import FOLDS, Spectrum
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema_analyses import (
    LAZINESS,
    SIGNIFICANT,
    SPECTRUM_CHECKPOINTS,
    SPECTRUM_CURVES,
    SPECTRUM_NUMBERS,
    SPECTRUM_TAPS,
)
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader

WITH_ERROR = [number for number in SPECTRUM_NUMBERS if number.error]  # the others are counts


def measure_spectrum(run: Run, part: Part) -> None:
    """Write the spectrum of the last tap, or of every tap, at every checkpoint."""
    if not run.config.network.classifies:
        raise NotApplicable("spectrum compares features with logits; network.outputs is none")
    spectra = []
    for checkpoint in run.progress(run.checkpoints, "spectrum: checkpoints"):
        with run.open_activations(checkpoint) as activations:
            activations.require_labels("spectrum")
            taps = activations.taps
            if run.config.spectrum.taps == "last":
                taps = taps[-1:]
            for tap in taps:
                measure = partial(_measure_tap, run, activations, tap)
                spectra.append(part.partial_results.get(f"{checkpoint.name}.{tap}", measure))
                run.safe_point()
    part.partial_results.log_reused("taps")
    epochs = [checkpoint.epoch for checkpoint in run.checkpoints]
    datasets: dict[Dataset, Any] = {SPECTRUM_CHECKPOINTS: epochs, SPECTRUM_TAPS: taps}
    for dataset in (*SPECTRUM_CURVES, *SPECTRUM_NUMBERS):
        datasets[dataset] = _stack(spectra, dataset, len(epochs))
    for dataset in WITH_ERROR:
        datasets[dataset.se.filled(folds=str(FOLDS))] = _stack(spectra, dataset.se, len(epochs))
    laziness = _stack(spectra, LAZINESS, len(epochs))[:, -1]
    significant = _stack(spectra, SIGNIFICANT, len(epochs))[:, -1]
    log.info("spectrum: laziness %.3f at epoch %d, %.3f at epoch %d; %d significant features then",
             laziness[0], epochs[0], laziness[-1], epochs[-1], significant[-1])  # fmt: skip
    part.write(datasets)


def costs(work: Workload) -> Costs:
    """Return what the sums of products of features, outputs and targets take."""
    sizes = work.sizes
    widths = list(sizes.widths.values())
    if work.config.spectrum.taps == "last":
        widest = sizes.d
        widths = widths[-1:]
    else:
        widest = max(widths)
    variables = _variables(work, widest)
    of_folds = (FOLDS + 1) * NUMBER * variables**2  # of every fold, and of some together
    sent = [work.sent(FOLDS * _variables(work, width) ** 2) for width in widths]
    return Costs(
        memory=of_folds + formulas.products(work, variables),
        operations=sizes.checkpoints * 2.0 * sizes.n * _variables(work, sizes.d) ** 2,
        sent=sizes.checkpoints * sum(sent),
    )


def _variables(work: Workload, d: int) -> int:
    """Return the number of variables: the constant, `d` features, outputs and targets."""
    return 1 + d + 2 * work.sizes.outputs


def _stack(
    spectra: list[Mapping[str, np.ndarray]], dataset: Dataset, checkpoints: int
) -> np.ndarray:
    """Return the values of all checkpoints and taps, filled up with NaN: (E, L, ...)."""
    values = stack_padded([of_tap[dataset.column] for of_tap in spectra])
    return values.reshape(checkpoints, -1, *values.shape[1:])


def _measure_tap(run: Run, activations: ActivationReader, tap: str) -> dict[str, np.ndarray]:
    """Return curves, numbers and standard errors of a tap, by the column of their dataset.

    The ranks share out the spectra with and without each fold.
    """
    grams = _grams(run, activations, tap)
    with run.clock.phase("diagonalise"):
        of_rank = {}
        for left_out in range(run.ranks.rank, FOLDS + 1, run.ranks.size):  # FOLDS: none is
            rest = [gram for fold, gram in enumerate(grams) if fold != left_out]
            of_rank[left_out] = _figures(spectrum.from_gram(reduce(add, rest)))
    without = run.ranks.union(of_rank)
    measured = dict(without[FOLDS])
    for dataset in WITH_ERROR:
        values = np.stack([without[fold][dataset.column] for fold in range(FOLDS)])
        measured[dataset.se.column] = np.asarray(jackknife(values))
    return measured


def _grams(run: Run, activations: ActivationReader, tap: str) -> list[Gram]:
    """Return the sums of products over all ranks' images, fold by fold.

    Of features, outputs and one-hot labels.
    """
    n, d = activations.shape(f"taps/{tap}/activations")
    _, outputs = activations.shape("outputs")
    labels = activations.read("samples/label")
    fold_of_image = folds.assign(activations.ids_of_originals(), labels, FOLDS)
    shift = run.tensor(activations.read(f"taps/{tap}/shift"))
    grams = [Gram((d, outputs, outputs), run.device) for _ in range(FOLDS)]
    for block in batches(run.ranks.block(n), run.config.machine.rows):
        with run.clock.phase("read"):
            x = run.tensor(activations.read(f"taps/{tap}/activations", block))
            y = run.tensor(activations.read("outputs", block))
        with run.clock.phase("products"):
            here = slice(block.start, block.stop)
            targets = run.tensor(np.eye(outputs)[labels[here]])
            for fold, gram in enumerate(grams):
                rows = torch.from_numpy(fold_of_image[here] == fold).to(run.device)
                gram.add(x[rows] + shift, y[rows], targets[rows])
    with run.clock.phase("communicate"):
        return [gram.reduced(run.ranks.sum) for gram in grams]


def _figures(of_tap: Spectrum) -> dict[str, np.ndarray]:
    """Return curves and numbers, by the column of their dataset: float64 arrays."""
    figures = {}
    for dataset in (*SPECTRUM_CURVES, *SPECTRUM_NUMBERS):
        value = getattr(of_tap, dataset.column)
        figures[dataset.column] = torch.as_tensor(value, dtype=torch.float64).cpu().numpy()
    return figures
