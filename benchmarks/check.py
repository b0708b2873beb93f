"""Stages of small runs on this machine: predicted by the model with its rates, then run."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table

from benchmarks import limits, machine, model
from benchmarks.machine import Machine
from benchmarks.model import Estimate
from benchmarks.stages import run_stage
from vinfo_mpi.config.load import load_config
from vinfo_mpi.config.schema import Config
from vinfo_mpi.costs.sizes import Sizes
from vinfo_mpi.costs.workload import Workload
from vinfo_mpi.data.loading import Loader
from vinfo_mpi.networks import architectures, taps
from vinfo_mpi.numerics.nnls import Dictionary
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.pipeline import measure
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
    "2,000 images, 512 concepts": {
        "data.planted.images": 2000,
        "dictionary.concepts_per_class": 64,
    },
    "1,000 images, resnet50": {"data.planted.images": 1000, "network.name": "resnet50"},
}
MORE: dict[str, dict[str, Any]] = {
    "12,000 images, 800 concepts": {
        "data.planted.images": 12000,
        "dictionary.concepts_per_class": 100,
    }
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
    memory : float
        Bytes that the plan says, beside those of the program.
    peak : int or None
        Bytes above what was held before.
    products : float
        Share of the time that the plan's operations take at the rate of a large matrix product.
    """

    case: str
    stage: str
    predicted: float
    measured: float
    limit: str
    bytes_predicted: float
    bytes_read: float
    memory: float
    peak: int | None
    products: float

    @property
    def ratio(self) -> float:
        """Predicted over measured."""
        return self.predicted / self.measured


@dataclass(frozen=True)
class Measured:
    """What a stage took: seconds, bytes of memory at its peak, bytes of rows that it read."""

    seconds: float
    peak: int | None
    read: float


def run_measured(run: Run, stage: str) -> Measured:
    """Do the work of a stage and return what it took."""
    run.begin()
    with limits.Peak() as peak:
        seconds, _ = limits.timed(partial(run_stage, run, stage))
    return Measured(seconds, peak.bytes, float(run.clock.bytes_read))


def compared(case: str, predicted: Estimate, measured: Measured, program: float = 0.0) -> Checked:
    """Return both together; `program`: bytes that are part of the memory that is predicted."""
    return Checked(
        case,
        predicted.stage,
        predicted.seconds,
        measured.seconds,
        predicted.limit,
        predicted.read,
        measured.read,
        predicted.memory - program,
        measured.peak,
        predicted.parts.get("matrix", 0.0) / measured.seconds,
    )


def rows(cases: dict[str, dict[str, Any]]) -> Iterator[Checked]:
    """Predict the stages of every case from sizes and measured rates, run them on one rank."""
    for name, changes in cases.items():
        with tempfile.TemporaryDirectory() as folder:
            yield from _check(name, _settings(changes, folder), Path(folder))


def _check(case: str, settings: Config, folder: Path) -> Iterator[Checked]:
    run = Run(settings, folder / "run", Ranks(), torch.device("cpu"), [], "benchmarks.scale")
    for number in range(CHECKPOINTS):
        torch.manual_seed(number)
        classes = len(run.subject.images.classes)
        network = architectures.build(settings.network.model_copy(), classes)
        torch.save(network.state_dict(), folder / f"{number}.pt")
    sizes = measure.sizes(run)
    here = _rates(run, sizes)
    measured = {stage: run_measured(run, stage) for stage in STAGES}
    iterations = {
        "dictionary": len(read_table(run.dictionary, "vinfo-dictionary", "objective")),
        "encode": _iterations(run),
    }
    work = Workload(sizes, settings, ranks=1, iterations=iterations)
    for predicted in model.estimate(here, work):
        if predicted.stage in STAGES:
            program = sizes.base + sizes.remembered
            yield compared(case, predicted, measured[predicted.stage], program)


def _settings(changes: dict[str, Any], folder: str) -> Config:
    settings = [f"{key}={value}" for key, value in changes.items()]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(SMALL, file)  # which is YAML as well
        file.flush()
        return load_config(Path(file.name), [f"network.checkpoints=['{folder}/*.pt']", *settings])


def _rates(run: Run, sizes: Sizes) -> Machine:
    """Return this machine, with what the network and the images of the run reach on it."""
    network = run.subject.network()
    count = run.batch
    images = torch.zeros(count, 3, sizes.size, sizes.size)
    where = taps.find(network, run.config.extract, images[:1])
    with torch.no_grad():
        passing = limits.best(lambda: taps.read(network, where, images, run.config.extract))
    ids = run.subject.ids[:count]
    # It remembers no images.
    fresh = Loader(run.subject.images, run.subject.preprocessing, run.device)
    reading, _ = limits.timed(lambda: [*fresh.batches([ids])])
    return machine.measured(sizes.operations * count / passing, len(ids) / reading)


def _iterations(run: Run) -> float:
    """Return after how many iterations the codes of a vector of the last tap are there, on average.

    From a sample of vectors.
    """
    with run.open_activations(run.final) as activations:
        vectors = torch.from_numpy(activations.read(MAP)).flatten(0, 1)
    size = min(SAMPLE, len(vectors))
    vectors = vectors[np.random.default_rng(0).choice(len(vectors), size, replace=False)]
    atoms = read_table(run.dictionary, "vinfo-dictionary", "atoms")
    dictionary = Dictionary(run.tensor(atoms), "directions")
    options = run.config.encode
    mean = 0.0
    before = 0
    unfinished = 1.0
    most = 10
    while unfinished and before < options.max_iterations:
        mean += unfinished * (most - before)
        before = most
        residual = dictionary.encode(vectors, options.tolerance, most).residual
        unfinished = float((residual > options.tolerance).double().mean())
        most = min(2 * most, options.max_iterations)
    return mean


def table(checked: list[Checked]) -> Table:
    """Return predictions and measurements as a table."""
    result = Table(
        title="The model on this machine, one rank: predicted and measured", title_justify="left"
    )
    words = ("case", "stage", "limited by")
    numbers = ("predicted", "measured", "ratio", "memory planned", "at the peak", "of products")
    for head in ("case", "stage", *numbers, "limited by"):
        result.add_column(head, justify="left" if head in words else "right")
    previous = None
    for row in checked:
        case = "" if row.case == previous else row.case
        result.add_row(
            case,
            row.stage,
            f"{row.predicted:.3g} s",
            f"{row.measured:.3g} s",
            f"{row.ratio:.2f}",
            f"{row.memory / 1e6:,.0f} MB",
            "" if row.peak is None else f"{row.peak / 1e6:,.0f} MB",
            f"{row.products:.0%}" if row.products else "",
            row.limit,
        )
        previous = row.case
    return result
