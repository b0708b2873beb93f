"""Score every concept: V-information at every tap of the final network, and complexity.

mpirun -n 8 python -m vinfo_mpi.score
"""

from __future__ import annotations

from vinfo_mpi import command

if __name__ == "__main__":
    command.main("score", __doc__)  # before the imports below: --help and mistakes answer without torch

import numpy as np

from vinfo_mpi import pipeline, vinformation
from vinfo_mpi.numerics import ridge
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.run import Run
from vinfo_mpi.storage import results_file
from vinfo_mpi.storage.files import Table, fixed_width, read_table


def run(run: Run, force: bool = False) -> None:
    """Write V-information, complexity and their standard errors."""
    provenance = pipeline.provenance(run, "score", "vinfo-results")
    pieces = run.pieces("score", provenance["fingerprint"], force)
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        taps = activations.taps
        fold = vinformation.fold_of_rows(run, activations, codes)
        scores = [
            vinformation.of_all(run, pieces, tap, activations, tap, codes, fold, turn)
            for turn, tap in enumerate(run.progress(taps, "score: taps"))
        ]
        run.clock.bytes_read += activations.bytes_read + codes.bytes_read
    values = np.stack([one.r2 for one in scores])  # (L, K)
    alive = scores[0].alive
    complexity = ridge.complexity(values)
    error = vinformation.standard_error(np.stack([one.without for one in scores]))
    if pieces.reused:
        log.info("score: %d taps reused, %d new", pieces.reused, len(taps) - pieces.reused)
    log.info("score: %d of %d concepts alive, mean complexity %.3f", alive.sum(), len(alive), np.nanmean(complexity))
    classes = read_table(run.dictionary, "vinfo-dictionary", "class")
    concept, both = ("concept",), ("tap", "concept")
    tables = {
        "taps": Table(fixed_width(taps), "names of the taps in forward order", axes=("tap",)),
        "vinformation": Table(
            values, f"V-information from tap to concept: {run.config.score.estimator} R²; NaN: no variance", "1", both
        ),
        "penalty": Table(np.stack([one.penalty for one in scores]), "ridge penalty chosen, relative", "1", both),
        "concepts/class": Table(classes, "class whose images the atom was fitted to; -1: all", None, concept),
        "concepts/alive": Table(alive.astype(np.uint8), "1 where the concept varies over the images", None, concept),
        "concepts/complexity": Table(complexity, "1 - mean V-information over the taps", "1", concept),
        "concepts/complexity_se": Table(error, "standard error of the complexity (jackknife over folds)", "1", concept),
    }
    run.ranks.on_root(results_file.update, run.results, "score", tables, provenance)
    pieces.remove()
