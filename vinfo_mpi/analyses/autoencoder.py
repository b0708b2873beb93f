"""A TopK sparse autoencoder beside the dictionary: complexity, importance, fidelity, stability.

It is trained on the stored vectors; its features are encoded and scored like the run's concepts, in
the folder autoencoder, which holds its file, codes and results.

mpirun -n 8 python -m vinfo_mpi.analyses.autoencoder
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("autoencoder", __doc__)

import copy
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vinfo_mpi.concepts.saes import training
from vinfo_mpi.config.schema import Config, Dictionary
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.numerics import atom_geometry
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.registry import STAGES
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import COMPLEXITY
from vinfo_mpi.results.schema_autoencoder import (
    ACTIVE,
    DICTIONARIES,
    FEATURE,
    FIDELITY,
    FIRING,
    LIVING,
    OF_FEATURES,
    SIMILARITY_OF_FEATURES,
    TRAININGS,
)
from vinfo_mpi.results.tables import Results
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.provenance import digest
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.hdf5 import attributes, read_table

FOLDER = "autoencoder"
FLOAT = 4  # bytes of float32
Arrays = dict[str, np.ndarray]
Datasets = dict[Dataset, Any]


def compare_autoencoder(run: Run, part: Part) -> None:
    """Write what the features of an autoencoder are like, and how faithful both dictionaries."""
    folder = run.folder / FOLDER
    seeds = (run.config.seed + np.arange(1 + run.config.autoencoder.seeds)).tolist()
    trained = [_features(run, part, seeds[0], folder)]
    view = _view(run, folder)
    for stage in _scored(run.config):
        run.safe_point()
        part.bring_up_to_date(view, stage)
    for seed in seeds[1:]:
        again = folder / f"seed_{seed}"
        make = partial(_features, run, part, seed, again)
        trained.append(dict(part.partial_results.get(again.name, make)))
        run.ranks.on_root(partial(shutil.rmtree, again, ignore_errors=True))
        run.safe_point()
    datasets = _of_trainings(seeds, trained) | _of_features(view) | _fidelity(run, view)
    log.info(
        "autoencoder: %d features fire; mean complexity %.3f; similarity to other trainings %.3f",
        datasets[LIVING][0],
        np.nanmean(datasets[OF_FEATURES[COMPLEXITY]]),
        datasets[SIMILARITY_OF_FEATURES].mean() if len(seeds) > 1 else np.nan,
    )
    part.write(datasets)


def costs(work: Workload) -> Costs:
    """Return what the trainings take, and the stages of a dictionary of features."""
    options = work.config.autoencoder
    features = options.features or work.sizes.concepts
    of_features = replace(work, sizes=replace(work.sizes, concepts=features))
    config = with_autoencoder(work.config, Path(FOLDER))
    stages = ("dictionary", *_scored(config))
    repeated = {stage: of_features.costs_of(stage, config) for stage in stages}
    numbers = features * work.sizes.d
    learned_from = min(options.vectors, work.sizes.n * work.sizes.positions)
    # Vectors as they are read and put together; weights, gradients and moments of encoder and
    # atoms; values of the features, largest ones, and their gradients.
    training = FLOAT * (
        2 * learned_from * work.sizes.d + 8 * numbers + 8 * options.batch * features
    )
    again = options.seeds
    return Costs(
        memory=max([training] + [stage.memory for stage in repeated.values()]),
        host=max([training] + [stage.beside_device for stage in repeated.values()]),
        operations=sum(stage.operations for stage in repeated.values())
        + again * repeated["dictionary"].operations
        + 12.0 * (1 + again) * options.steps * options.batch * numbers,
        sent=sum(stage.sent for stage in repeated.values()) + again * repeated["dictionary"].sent,
        disk={
            FOLDER: 2.0 * FLOAT * numbers
            + sum(sum(each.disk.values()) for each in repeated.values())
        },
        temporary=2.0 * FLOAT * numbers + sum(repeated["dictionary"].disk.values()),
    )


def with_autoencoder(config: Config, folder: Path) -> Config:
    """Return the settings under which the features of an autoencoder are the concepts."""
    dictionary = Dictionary(source="sae", sae=str(folder), tap=config.dictionary.tap)
    score = config.score.model_copy(update={"also": []})
    changes = {"dictionary": dictionary, "score": score}
    return config.model_copy(update=changes).without_positions()


def _scored(config: Config) -> tuple[str, ...]:
    """Return the stages that follow the dictionary; decisions are known of classifiers alone."""
    return ("encode", "score", *(["importance"] if config.network.classifies else []))


def _view(run: Run, folder: Path) -> Run:
    """Return this run with the autoencoder's features in place of its concepts."""
    view = copy.copy(run)
    view.outputs = folder
    view.config = with_autoencoder(run.config, folder)
    return view


def _features(run: Run, part: Part, seed: int, folder: Path) -> Arrays:
    """Train an autoencoder, or take what is there, and return its atoms that fire."""
    options = run.config.autoencoder
    features = options.features or len(read_table(run.dictionary, "vinfo-dictionary", "atoms"))
    settings = options.model_dump(exclude={"seeds", "features"})
    inputs = [part.provenance["inputs"], run.config.encode.positions]
    key = digest(STAGES["autoencoder"].version, settings, features, seed, *inputs)
    training.train(run, features, seed, folder, key)
    view = _view(run, folder)
    part.bring_up_to_date(view, "dictionary")
    tables = {
        name: read_table(view.dictionary, "vinfo-dictionary", name)
        for name in ("atoms", "feature", "firing")
    }
    return tables | {"l0": np.asarray(attributes(view.dictionary, "vinfo-dictionary")["l0"])}


def _of_trainings(seeds: list[int], trained: Sequence[Mapping[str, np.ndarray]]) -> Datasets:
    """Return what is known of every training, and of the first one's features by the others."""
    first, *others = trained
    similarity = [atom_geometry.similarity(first["atoms"], each["atoms"]) for each in others]
    return {
        FEATURE: first["feature"],
        FIRING: first["firing"],
        TRAININGS: seeds,
        LIVING: [len(each["atoms"]) for each in trained],
        ACTIVE: [float(each["l0"]) for each in trained],
        SIMILARITY_OF_FEATURES: np.reshape(similarity, (len(others), len(first["atoms"]))),
    }


def _of_features(view: Run) -> Datasets:
    """Return the features' numbers, as their own results.h5 has them; NaN: not measured."""
    results = Results(view.results)
    nothing = np.full(len(results.concepts), np.nan)
    return {
        of_feature: results.read(dataset) if dataset in results else nothing
        for dataset, of_feature in OF_FEATURES.items()
    }


def _fidelity(run: Run, view: Run) -> Datasets:
    """Return how faithful the run's concepts and the features are."""
    of_codes = [attributes(each.codes, "vinfo-codes") for each in (run, view)]
    names = [run.config.dictionary.source, FOLDER]
    return {DICTIONARIES: names} | {
        dataset: [float(each[dataset.column]) for each in of_codes] for dataset in FIDELITY
    }
