"""Extraction beside the bare forward pass, an extractor written by hand, and plain writing.

Ours is the stage as users run it: every tap pooled, shares of values that are not zero, both
branches of every residual block and the last map of the final network, everything checked to be
finite and written with a checksum for every row, on disk for good; and, once for every checkpoint,
the pilot: 64 images whose mean is subtracted. The bare forward pass stores nothing. The extractor
by hand pools the taps and stores them, the last map and the logits, in HDF5: no branches, shares,
checks or checksums, and nothing is waited for.
"""

from __future__ import annotations

import contextlib
import copy
import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.feature_extraction import create_feature_extractor

from benchmarks import limits, side_by_side, writing
from benchmarks.side_by_side import Contestant, Options, Row
from benchmarks.stages import run_stage
from benchmarks.writing import Answer, Arrays
from vinfo_mpi.cli.options import DEFAULT_CONFIG
from vinfo_mpi.config.load import load_config
from vinfo_mpi.networks import checkpoints, taps
from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import MAP, ActivationReader

PLACE = Path("runs/benchmarks")
# Largest difference, relative to the largest value: convolutions add in another order, and on a GPU
# by other algorithms.
ROUNDING = {"cpu": 1e-5, "cuda": 1e-4}


@dataclass(frozen=True)
class Case:
    """A network with random weights, extracted at a few checkpoints.

    The last of them is the final network. `batch` is in images, by device.
    """

    name: str
    settings: Sequence[str]
    checkpoints: int = 1
    batch: Mapping[str, int] = field(default_factory=lambda: {"cpu": 128, "cuda": 128})


DIGITS = Case("quickstart: narrow ResNet-18, 32 pixels", (), 4)
PLANTED = "data.source=planted"
PHOTOGRAPHS = (
    PLANTED,
    "data.image_size=224",
    "network.name=resnet50",
    "network.small_images=false",
    "network.width=1.0",
)
# A CPU takes twice as long for images whose feature maps leave the heap.
OF_PHOTOGRAPHS = {"cpu": 8, "cuda": 64}
SMALL = [
    DIGITS,
    Case(
        "ResNet-50, 224 pixels",
        (*PHOTOGRAPHS, "data.planted={images: 64, size: 224}"),
        batch=OF_PHOTOGRAPHS,
    ),
]
LARGE = [
    DIGITS,
    Case("narrow ResNet-18, 32 pixels", (PLANTED, "data.planted={images: 20000}")),
    Case(
        "ResNet-50, 224 pixels",
        (*PHOTOGRAPHS, "data.planted={images: 1024, size: 224}"),
        batch=OF_PHOTOGRAPHS,
    ),
]


def cases(options: Options) -> Iterator[list[Row]]:
    """Yield the rows of every case."""
    PLACE.mkdir(parents=True, exist_ok=True)
    for case in LARGE if options.full else SMALL:
        with tempfile.TemporaryDirectory(dir=PLACE) as folder:
            yield extracted(case, Path(folder), options)
    with tempfile.TemporaryDirectory(dir=PLACE) as folder:
        yield writing.compare(64 if options.full else 8, Path(folder), options)


def extracted(case: Case, folder: Path, options: Options) -> list[Row]:
    """Return what extraction takes, the bare forward pass in two orders of memory, and by hand."""
    run = _run(case, folder, options)
    weights = checkpoints.at(folder, 0)
    network = run.subject.network()
    checkpoints.save(weights, network, torch.optim.SGD(network.parameters()))
    batches = _batches(run)
    names = [tap.name for tap in taps.find(network, run.config.extract, batches[0][:1])]
    n = len(run.subject.ids)
    images = n * case.checkpoints
    work = float(_operations(network, batches[0][:1])) * images
    limit = limits.matrix_rate(torch.float32, options.device)
    numbers = count(1)

    def ours() -> Answer:
        # None of these is there yet.
        run.checkpoints = [Checkpoint(next(numbers), weights.path) for _ in range(case.checkpoints)]
        run.begin()
        with contextlib.redirect_stderr(io.StringIO()):
            run_stage(run, "extract")
        path = run.activations(run.final)
        return lambda: _stored(path)

    def passed(network: nn.Module) -> Answer:
        for _ in range(case.checkpoints):
            outputs = _forward(network, batches)
        return lambda: {"outputs": outputs.cpu().numpy()}

    def by_hand() -> Answer:
        for _ in range(case.checkpoints):
            path = folder / f"by_hand_{next(numbers)}.h5"
            _by_hand(network, names, batches, n, path)
        return lambda: _read(path)

    by_pixel = copy.deepcopy(network).to(memory_format=torch.channels_last)
    rows = side_by_side.compare(
        f"{case.name}: {n} images, {case.checkpoints} checkpoints",
        [
            Contestant("ours, everything stored", ours, work, limit),
            Contestant("forward pass alone", lambda: passed(network), work, limit),
            Contestant("forward pass alone, channels last", lambda: passed(by_pixel), work, limit),
            Contestant("torchvision's feature extractor, h5py", by_hand, work, limit),
        ],
        partial(_close, options.device),
        options.repeats,
    )
    for row in rows:
        row.note = f"{images / row.median:.1f} images/s; {row.note}".rstrip("; ")
    phases = [f"{name} {seconds:.2f} s" for name, seconds in sorted(run.clock.seconds.items())]
    rows[0].note += f"; of the last call {', '.join(phases)}"
    return rows


def _run(case: Case, folder: Path, options: Options) -> Run:
    batch = case.batch[options.device]
    settings = ["extract.maps=final", f"machine.batch={batch}", *case.settings]
    config = load_config(DEFAULT_CONFIG, settings)
    return Run(config, folder, Ranks(), torch.device(options.device), [], "benchmark")


def _batches(run: Run) -> list[torch.Tensor]:
    """Return the images as the network takes them."""
    ids = run.subject.ids
    size = run.batch
    blocks = [ids[start : start + size] for start in range(0, len(ids), size)]
    return [images for images, *_ in run.subject.loader.batches(blocks)]


def _operations(network: nn.Module, image: torch.Tensor) -> int:
    """Return the operations of one forward pass."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(image)
    return counter.get_total_flops()


@torch.inference_mode()
def _forward(network: nn.Module, batches: list[torch.Tensor]) -> torch.Tensor:
    """Return the logits of all images."""
    return torch.cat([network(images) for images in batches])


@torch.inference_mode()
def _by_hand(
    network: nn.Module, names: list[str], batches: list[torch.Tensor], n: int, path: Path
) -> None:
    """Write taps, last map and logits as one would without us.

    The network ends in a layer called fc, as ResNets do.
    """
    extractor = create_feature_extractor(network, [*names, "fc"])
    start = 0
    with h5py.File(path, "w") as file:
        for images in batches:
            features = extractor(images)
            values = {name: features[name].mean((2, 3)) for name in names}
            values["map"] = features[names[-1]].flatten(2).transpose(1, 2)
            values["outputs"] = features["fc"]
            for name, value in values.items():
                if start == 0:
                    file.create_dataset(name, (n, *value.shape[1:]), "float32")
                file[name][start : start + len(images)] = value.cpu().numpy()
            start += len(images)


def _stored(path: Path) -> Arrays:
    """Return taps, last map and logits from our file."""
    with ActivationReader(path) as file:
        values = {
            name: file.read(f"taps/{name}/activations") + file.read(f"taps/{name}/shift")
            for name in file.taps
        }
        return values | {"map": file.read(MAP), "outputs": file.read("outputs")}


def _read(path: Path) -> Arrays:
    with h5py.File(path, "r") as file:
        return {name: file[name][()] for name in file}


def _close(device: str, answers: dict[str, Answer]) -> str:
    """Compare whatever the others have with ours."""
    arrays = [answer() for answer in answers.values()]
    ours = arrays[0]
    differences = [
        np.abs(value - ours[name]).max() / np.abs(value).max()
        for peer in arrays[1:]
        for name, value in peer.items()
    ]
    assert max(differences) <= ROUNDING[device], max(differences)
    return f"within {max(differences):.0e}"


if __name__ == "__main__":
    side_by_side.main(__doc__, "extract", cases)
