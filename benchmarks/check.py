"""Stages of small runs on this machine: predicted by the model with rates measured here, then run."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table

from benchmarks import limits, machine, model
from benchmarks.machine import Machine
from vinfo_mpi.config.load import load_config
from vinfo_mpi.config.schema import Config
from vinfo_mpi.costs.sizes import Sizes
from vinfo_mpi.data.loading import Loader
from vinfo_mpi.networks import architectures, taps
from vinfo_mpi.numerics.nnls import Dictionary
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.pipeline import measure
from vinfo_mpi.registry import module
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import MAP
from vinfo_mpi.storage.hdf5 import read_table

SMALL = {
    "data": {"source": "planted"},
    "network": {"name": "resnet18", "small_images": True, "width": 0.25},
    "extract": {"positions": 4},
    "dictionary": {"concepts_per_class": 10, "max_iterations": 50},
    "encode": {"max_iterations": 60},  # an untrained network's atoms are alike, which takes many
    "analyses": ["flow"],
    "pages": [],
    "machine": {"device": "cpu"},
}
CASES: dict[str, dict[str, Any]] = {
    "4,000 images, 80 concepts": {"data.planted.images": 4000},
    "2,000 images, 512 concepts": {"data.planted.images": 2000, "dictionary.concepts_per_class": 64},
    "1,000 images, resnet50": {"data.planted.images": 1000, "network.name": "resnet50"},
}
MORE: dict[str, dict[str, Any]] = {
    "12,000 images, 800 concepts": {"data.planted.images": 12000, "dictionary.concepts_per_class": 100}
}
STAGES = ("extract", "dictionary", "encode", "score", "importance", "dynamics", "flow")
CHECKPOINTS = 2
SAMPLE = 200  # vectors whose iterations are counted


@dataclass(frozen=True)
class Checked:
    """A stage, predicted and run.

    Attributes
    ----------
    case, stage, limit : str
        `limit` is what should take longest.
    predicted, measured : float
        Seconds.
    bytes_predicted, bytes_read : float
        Of rows of activations and codes.
    """

    case: str
    stage: str
    predicted: float
    measured: float
    limit: str
    bytes_predicted: float
    bytes_read: float

    @property
    def ratio(self) -> float:
        """Predicted over measured."""
        return self.predicted / self.measured


def rows(cases: dict[str, dict[str, Any]]) -> Iterator[Checked]:
    """Run the stages of every case here, on one rank, and predict each from sizes and measured rates."""
    for name, changes in cases.items():
        with tempfile.TemporaryDirectory() as folder:
            yield from _check(name, _settings(changes, folder), Path(folder))


def _check(case: str, settings: Config, folder: Path) -> Iterator[Checked]:
    run = Run(settings, folder / "run", Ranks(), torch.device("cpu"), [], "benchmarks.scale")
    for number in range(CHECKPOINTS):
        torch.manual_seed(number)
        torch.save(
            architectures.build(settings.network.model_copy(), len(run.subject.images.classes)).state_dict(),
            folder / f"{number}.pt",
        )
    sizes, seconds, read = measure.sizes(run), {}, {}
    here = _rates(run, sizes)
    for stage in STAGES:
        run.begin()
        seconds[stage], _ = limits.timed(lambda stage=stage: import_module(module(stage)).run(run))  # type: ignore[misc]
        read[stage] = float(run.clock.bytes_read)
    iterations = {"dictionary": len(read_table(run.dictionary, "vinfo-dictionary", "objective")), "encode": _iterations(run)}
    for one in (one for one in model.estimate(here, sizes, settings, 1, iterations) if one.stage in STAGES):
        yield Checked(case, one.stage, one.seconds, seconds[one.stage], one.limit, one.read, read[one.stage])


def _settings(changes: dict[str, Any], folder: str) -> Config:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(SMALL, file)  # which is YAML as well
        file.flush()
        return load_config(
            Path(file.name), [f"network.checkpoints=['{folder}/*.pt']", *(f"{key}={value}" for key, value in changes.items())]
        )


def _rates(run: Run, sizes: Sizes) -> Machine:
    """Return this machine, with what the run's own network and images reach on it."""
    network, count = run.subject.network(), run.config.machine.batch
    images = torch.zeros(count, 3, sizes.size, sizes.size)
    names = list(sizes.widths)
    with torch.no_grad():
        forward = sizes.operations * count / limits.best(lambda: taps.read(network, names, images, run.config.extract))
    ids = run.subject.ids[:count]
    fresh = Loader(run.subject.images, run.subject.preprocessing, run.device)  # which remembers no images
    reading, _ = limits.timed(lambda: [*fresh.batches([ids])])
    return machine.measured(forward, len(ids) / reading)


def _iterations(run: Run) -> float:
    """Return the mean number of iterations until the codes of a vector of the last tap are found, from a sample."""
    with run.open_activations(run.final) as activations:
        vectors = torch.from_numpy(activations.read(MAP)).flatten(0, 1)
    vectors = vectors[np.random.default_rng(0).choice(len(vectors), min(SAMPLE, len(vectors)), replace=False)]
    dictionary, options = Dictionary(run.tensor(read_table(run.dictionary, "vinfo-dictionary", "atoms"))), run.config.encode
    mean, before, unfinished, most = 0.0, 0, 1.0, 10
    while unfinished and before < options.max_iterations:
        mean, before = mean + unfinished * (most - before), most
        unfinished = float((dictionary.encode(vectors, options.tolerance, most).residual > options.tolerance).double().mean())
        most = min(2 * most, options.max_iterations)
    return mean


def table(checked: list[Checked]) -> Table:
    """Return predictions and measurements as a table."""
    result = Table(title="The model on this machine, one rank: predicted and measured", title_justify="left")
    for head in ("case", "stage", "predicted", "measured", "ratio", "limited by"):
        result.add_column(head, justify="left" if head in ("case", "stage", "limited by") else "right")
    previous = None
    for row in checked:
        case = "" if row.case == previous else row.case
        result.add_row(case, row.stage, f"{row.predicted:.3g} s", f"{row.measured:.3g} s", f"{row.ratio:.2f}", row.limit)
        previous = row.case
    return result
