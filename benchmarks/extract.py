"""Extraction beside the bare forward pass, an extractor written by hand, and plain writing of the same arrays.

Ours is the stage as users run it: every tap pooled, shares of values that are not zero, both branches of every residual
block and the last map of the final network, everything checked to be finite and written with a checksum for every row,
on disk for good; and, once for every checkpoint, the pilot: 64 images whose mean is subtracted. The bare forward pass
stores nothing. The extractor by hand pools the taps and stores them, the last map and the logits, in HDF5: no branches,
shares, checks or checksums, and nothing is waited for.
"""

from __future__ import annotations

import contextlib
import copy
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.feature_extraction import create_feature_extractor

from benchmarks import limits, side_by_side
from benchmarks.side_by_side import Contestant, Options, Row
from vinfo_mpi.cli.command import DEFAULT_CONFIG
from vinfo_mpi.config.load import load_config
from vinfo_mpi.networks import checkpoints, taps
from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.run.run import Run
from vinfo_mpi.stages import extract
from vinfo_mpi.storage.activations import MAP, ActivationReader
from vinfo_mpi.storage.hdf5 import FORMAT_VERSIONS, Table
from vinfo_mpi.storage.row_writer import RowWriter
from vinfo_mpi.storage.rows import CHECKSUMS, Column, RowReader

PLACE = Path("runs/benchmarks")
ROUNDING = 1e-5  # largest difference, relative to the largest value: convolutions add in another order
Answer = Callable[[], dict[str, np.ndarray]]  # read when the time has been taken


@dataclass(frozen=True)
class Case:
    """A network with random weights, extracted at a few checkpoints; the last of them is the final network."""

    name: str
    settings: Sequence[str]
    checkpoints: int = 1
    batch: Mapping[str, int] = field(default_factory=lambda: {"cpu": 128, "cuda": 128})  # images, by device


DIGITS = Case("quickstart: narrow ResNet-18, 32 pixels", (), 4)
PLANTED = "data.source=planted"
PHOTOGRAPHS = (PLANTED, "data.image_size=224", "network.name=resnet50", "network.small_images=false", "network.width=1.0")
OF_PHOTOGRAPHS = {"cpu": 8, "cuda": 64}  # a CPU takes twice as long for images whose feature maps leave the heap
SMALL = [DIGITS, Case("ResNet-50, 224 pixels", (*PHOTOGRAPHS, "data.planted={images: 64, size: 224}"), batch=OF_PHOTOGRAPHS)]
LARGE = [
    DIGITS,
    Case("narrow ResNet-18, 32 pixels", (PLANTED, "data.planted={images: 20000}")),
    Case("ResNet-50, 224 pixels", (*PHOTOGRAPHS, "data.planted={images: 1024, size: 224}"), batch=OF_PHOTOGRAPHS),
]


def cases(options: Options) -> Iterator[list[Row]]:
    """Yield the rows of every case."""
    PLACE.mkdir(parents=True, exist_ok=True)
    for case in LARGE if options.full else SMALL:
        with tempfile.TemporaryDirectory(dir=PLACE) as folder:
            yield extracted(case, Path(folder), options)
    with tempfile.TemporaryDirectory(dir=PLACE) as folder:
        yield written(64 if options.full else 8, Path(folder), options)


# --- network and writing ---


def extracted(case: Case, folder: Path, options: Options) -> list[Row]:
    """Return what extraction takes, the bare forward pass in two orders of memory, and an extractor by hand."""
    run = Run(
        load_config(DEFAULT_CONFIG, ["extract.maps=final", f"machine.batch={case.batch[options.device]}", *case.settings]),
        folder,
        Ranks(),
        torch.device(options.device),
        [],
        "benchmark",
    )
    weights = checkpoints.at(folder, 0)
    network = run.subject.network()
    checkpoints.save(weights, network, torch.optim.SGD(network.parameters()))
    ids, size = run.subject.ids, run.config.machine.batch
    batches = [images for images, *_ in run.subject.loader.batches([ids[one : one + size] for one in range(0, len(ids), size)])]
    names = taps.find(network, run.config.extract, batches[0][:1])
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(batches[0][:1])
    images = len(ids) * case.checkpoints
    work, limit = float(counter.get_total_flops()) * images, limits.matrix_rate(torch.float32, options.device)
    numbers = count(1)

    def ours() -> Answer:
        run.checkpoints = [Checkpoint(next(numbers), weights.path) for _ in range(case.checkpoints)]  # none of them is there yet
        run.begin()
        with contextlib.redirect_stderr(io.StringIO()):
            extract.run(run)
        path = run.activations(run.final)
        return lambda: _stored(path)

    def passed(network: nn.Module) -> Answer:
        for _ in range(case.checkpoints):
            outputs = _forward(network, batches)
        return lambda: {"outputs": outputs.cpu().numpy()}

    def by_hand() -> Answer:
        for _ in range(case.checkpoints):
            path = folder / f"by_hand_{next(numbers)}.h5"
            _by_hand(network, names, batches, len(ids), path)
        return lambda: _read(path)

    by_pixel = copy.deepcopy(network).to(memory_format=torch.channels_last)
    rows = side_by_side.compare(
        f"{case.name}: {len(ids)} images, {case.checkpoints} checkpoints",
        [
            Contestant("ours, everything stored", ours, work, limit),
            Contestant("forward pass alone", lambda: passed(network), work, limit),
            Contestant("forward pass alone, channels last", lambda: passed(by_pixel), work, limit),
            Contestant("torchvision's feature extractor, h5py", by_hand, work, limit),
        ],
        _close,
        options.repeats,
    )
    for row in rows:
        row.note = f"{images / row.median:.1f} images/s; {row.note}".rstrip("; ")
    phases = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in sorted(run.clock.seconds.items()))
    rows[0].note += f"; of the last call {phases}"
    return rows


@torch.inference_mode()
def _forward(network: nn.Module, batches: list[torch.Tensor]) -> torch.Tensor:
    """Return the logits of all images."""
    return torch.cat([network(images) for images in batches])


@torch.inference_mode()
def _by_hand(network: nn.Module, names: list[str], batches: list[torch.Tensor], n: int, path: Path) -> None:
    """Write taps, last map and logits as one would without us; the network ends in a layer called fc, as ResNets do."""
    extractor = create_feature_extractor(network, [*names, "fc"])
    start = 0
    with h5py.File(path, "w") as file:
        for images in batches:
            seen = extractor(images)
            values = {name: seen[name].mean((2, 3)) for name in names}
            values |= {"map": seen[names[-1]].flatten(2).transpose(1, 2), "outputs": seen["fc"]}
            for name, value in values.items():
                if start == 0:
                    file.create_dataset(name, (n, *value.shape[1:]), "float32")
                file[name][start : start + len(images)] = value.cpu().numpy()
            start += len(images)


def _stored(path: Path) -> dict[str, np.ndarray]:
    """Return taps, last map and logits from our file."""
    with ActivationReader(path) as file:
        found = {name: file.read(f"taps/{name}/activations") + file.read(f"taps/{name}/shift") for name in file.taps}
        return found | {"map": file.read(MAP), "outputs": file.read("outputs")}


def _read(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path, "r") as file:
        return {name: file[name][()] for name in file}


def _close(answers: dict[str, Answer]) -> str:
    """Compare whatever the others have with ours."""
    ours, *others = (answer() for answer in answers.values())
    differences = [np.abs(value - ours[name]).max() / np.abs(value).max() for other in others for name, value in other.items()]
    assert max(differences) <= ROUNDING, max(differences)
    return f"within {max(differences):.0e}"


# --- writing alone ---


def written(batches: int, folder: Path, options: Options, rows: int = 128) -> list[Row]:
    """Return what writing takes in both ways that we write, and by numpy's tofile, with and without waiting for the disk.

    Parameters
    ----------
    batches : int
        Number of batches that are written.
    rows : int
        Images of a batch.
    """
    shapes = {f"tap_{number:02d}": (512,) for number in range(16)} | {"map": (49, 512)}
    columns = {name: Column(shape, "float32", Table(None, "random numbers")) for name, shape in shapes.items()}
    generator = np.random.default_rng(0)
    values = {name: generator.standard_normal((rows, *shape), np.float32) for name, shape in shapes.items()}
    size, numbers = batches * sum(value.nbytes for value in values.values()), count()
    attributes = {"filetype": "vinfo-activations", "format_version": FORMAT_VERSIONS["vinfo-activations"], "fingerprint": "0"}

    def ours(kind: Literal["parallel", "virtual"]) -> Answer:
        path = folder / f"{next(numbers)}.h5"
        with RowWriter(path, columns, batches * rows, rows, Ranks(), attributes, kind=kind) as writer:
            for block in writer.todo:
                writer.write(block.start, values)
        return lambda: _rows(path)

    def tofile(wait: bool) -> Answer:
        place = folder / f"{next(numbers)}"
        place.mkdir()
        with contextlib.ExitStack() as stack:
            files = {name: stack.enter_context((place / name).open("wb")) for name in columns}
            for _ in range(batches):
                for name, file in files.items():
                    values[name].tofile(file)
            for file in files.values() if wait else ():
                file.flush()
                os.fsync(file.fileno())
        return lambda: {name: np.fromfile(place / name, np.float32).reshape(-1, *shape) for name, shape in shapes.items()}

    def same(answers: dict[str, Answer]) -> str:
        for answer in answers.values():
            for name, found in answer().items():
                assert len(found) == batches * rows and (found.reshape(batches, *values[name].shape) == values[name]).all(), name
        return "equal"

    kinds: list[Literal["parallel", "virtual"]] = ["parallel", "virtual"] if h5py.get_config().mpi else ["virtual"]
    limit = limits.disk_rate(folder)
    contestants = [Contestant(f"ours, {kind}", partial(ours, kind), size, limit) for kind in kinds]
    contestants += [
        Contestant("numpy's tofile", partial(tofile, False), size, limit),
        Contestant("numpy's tofile and fsync", partial(tofile, True), size, limit),
    ]
    found = side_by_side.compare(f"writing {size / 2**20:.0f} MiB", contestants, same, options.repeats)
    for row in found:
        row.note = f"{size / row.median / 1e9:.2f} GB/s; {row.note}".rstrip("; ")
    return found


def _rows(path: Path) -> dict[str, np.ndarray]:
    with RowReader(path) as file:
        return {name: file.read(name) for name in file.file if name != CHECKSUMS}


if __name__ == "__main__":
    side_by_side.main(__doc__, "extract", cases)
