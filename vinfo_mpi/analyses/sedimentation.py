"""How features settle: where in the network, and when, the final concepts become available; and what the concepts of earlier
checkpoints are like, found in each as in the final network.

mpirun -n 8 python -m vinfo_mpi.analyses.sedimentation
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("sedimentation", __doc__)

import importlib
import shutil

import numpy as np

from vinfo_mpi.concepts import vinformation
from vinfo_mpi.concepts.vinformation import Source
from vinfo_mpi.config.schema import Sedimentation
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.numerics import correlation
from vinfo_mpi.numerics.selection import most_important
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.registry import program
from vinfo_mpi.results import store
from vinfo_mpi.run import freshness
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.hdf5 import Table, read_table
from vinfo_mpi.storage.partial_results import Pieces

OWN = ("dictionary", "encode", "score", "importance")  # the stages that find and describe the concepts of a checkpoint
CURVES = {
    "mean_complexity": "complexity of the epoch's own concepts, mean over the living ones",
    "mean_complexity_se": "its standard error over the concepts",
    "top_complexity": "complexity of the epoch's own concepts, mean over the most important ones",
    "top_complexity_se": "its standard error over the concepts",
    "correlation": "Spearman's correlation of complexity and importance over the epoch's own concepts",
    "correlation_se": "its standard error (bootstrap over the concepts)",
    "accuracy": "share of the images that the network classifies as their label at this epoch",
    "accuracy_se": "its standard error over the images",
    "relative_error": "relative error of the pooled last tap, rebuilt from the epoch's own codes",
    "predictions_kept": "share of the images whose prediction at this epoch is the same from the rebuilt vector",
}


def run(run: Run, force: bool = False) -> None:
    """Write V-information from every tap of every checkpoint to the final concepts, and what each epoch's own concepts are like."""
    provenance = freshness.provenance(run, "sedimentation", "vinfo-results")
    checkpoints = [one for one in run.checkpoints if run.keeps_map(one)]
    if len(checkpoints) < 2:
        raise NotApplicable(
            "sedimentation needs the unpooled last tap of several checkpoints, and that is kept of "
            f"{len(checkpoints)} of {len(run.checkpoints)}; set extract.maps: all, or a list of epochs"
        )
    pieces = run.pieces("sedimentation", provenance["fingerprint"], force)
    grid = _grid(run, pieces)
    if force:
        run.ranks.on_root(_forget, run, checkpoints[:-1])
    for one in checkpoints:
        _find_concepts(run, one)
    own = run.ranks.on_root(lambda: [_describe(run.at(one), run.config.sedimentation) for one in checkpoints])
    found = {name: stacked([one[name] for one in own]) for name in own[0]}
    log.info("sedimentation: mean complexity %.3f at epoch %d, %.3f at epoch %d; of the most important %.3f and %.3f",
             found["mean_complexity"][0], checkpoints[0].epoch, found["mean_complexity"][-1], checkpoints[-1].epoch,
             found["top_complexity"][0], found["top_complexity"][-1])  # fmt: skip
    epoch, both, text = ("epoch",), ("epoch", "own concept"), "of the concepts that were found in the network of this epoch"
    tables = {
        "sedimentation/checkpoints": Table(
            np.array([one.epoch for one in run.checkpoints]), "epoch; 0 = untrained", "epoch", ("checkpoint",)
        ),
        "sedimentation/grid": Table(
            grid, "V-information from the tap at this epoch to the final network's concept", "1", ("checkpoint", "tap", "concept")
        ),
        "sedimentation/epochs": Table(
            np.array([one.epoch for one in checkpoints]), "epochs whose own concepts were found; 0 = untrained", "epoch", epoch
        ),
        "sedimentation/complexity": Table(found["complexity"], f"complexity {text}; NaN: no variance", "1", both),
        "sedimentation/importance": Table(found["importance"], f"importance {text}", "logit", both),
    }
    tables |= {f"sedimentation/{name}": Table(found[name], about, "1", epoch) for name, about in CURVES.items()}
    run.ranks.on_root(store.update, run.results, "sedimentation", tables, provenance)
    pieces.remove()


def _grid(run: Run, pieces: Pieces) -> np.ndarray:
    """Return the V-information from every tap of every checkpoint to the final concepts: (E, L, K)."""
    with run.open_codes() as codes, run.open_every_activations() as every:
        fold = vinformation.fold_of_rows(run, codes, *every.values())
        sources = {f"{name}.{tap}": Source(activations, tap) for name, activations in every.items() for tap in activations.taps}
        found = [one.r2 for one in vinformation.scores_of_each(run, pieces, sources, codes, fold)]
        run.clock.bytes_read += codes.bytes_read + sum(activations.bytes_read for activations in every.values())
    return np.stack(found).reshape(len(run.checkpoints), -1, len(found[0]))


def _find_concepts(run: Run, checkpoint: Checkpoint) -> None:
    """Bring dictionary, codes, complexity and importance of a checkpoint's own concepts up to date."""
    view = run.at(checkpoint)
    for stage in OWN:
        run.safe_point()
        if not run.ranks.on_root(freshness.is_current, view, stage):
            log.info("sedimentation: %s: %s", checkpoint.name, stage)
            importlib.import_module(program(stage)).run(view)


def _forget(run: Run, checkpoints: list[Checkpoint]) -> None:
    for one in checkpoints:
        shutil.rmtree(run.at(one).outputs, ignore_errors=True)


def _describe(view: Run, options: Sedimentation) -> dict[str, np.ndarray]:
    """Return complexity and importance of the concepts of one checkpoint, and the points of `CURVES`."""
    complexity, importance = (
        read_table(view.results, "vinfo-results", f"concepts/{name}") for name in ("complexity", "importance")
    )
    with view.open_activations(view.final) as activations:
        right = activations.read("samples/prediction") == activations.read("samples/label")
    with view.open_codes() as codes:
        fidelity = {name: codes.attributes[name] for name in ("relative_error", "predictions_kept")}
    related = correlation.spearman(complexity, importance)
    found = {"correlation": related.value, "correlation_se": related.standard_error, **fidelity}
    for name, values in {
        "mean_complexity": complexity[np.isfinite(complexity)],
        "top_complexity": complexity[most_important(complexity, importance, options.important, options.at_least)],
        "accuracy": right,
    }.items():
        n = len(values)
        found[name] = values.mean() if n else np.nan
        found[f"{name}_se"] = values.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
    return {"complexity": complexity, "importance": importance} | {name: np.asarray(value) for name, value in found.items()}


def stacked(parts: list[np.ndarray]) -> np.ndarray:
    """Return numbers, or rows with NaN after the end of the shorter ones, as one array: (E,) or (E, K)."""
    if parts[0].ndim == 0:
        return np.array(parts)
    width = max(map(len, parts))
    return np.array([np.pad(one, (0, width - len(one)), constant_values=np.nan) for one in parts])
