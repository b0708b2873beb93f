"""Training beside torchvision's reference script, on the same images: an epoch of JPEG files.

Ours is the stage as users run it: images read, augmented (parts of random size and proportions,
mirror images) and learned from, the network and its optimiser saved before and after. The peer does
what references/classification/train.py does: an ImageFolder with its preset, a DataLoader, a step,
loss and accuracies of every batch, its checkpoint. It is given the images in our order and augments
each with our seed, so that both learn the same, which is checked.

    OMP_NUM_THREADS=1 python -m benchmarks.train [--full]
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.models import get_model

from benchmarks import photographs, side_by_side
from benchmarks.photographs import Augmented
from benchmarks.side_by_side import Contestant, Options, Row
from benchmarks.stages import run_stage
from vinfo_mpi.cli.options import DEFAULT_CONFIG
from vinfo_mpi.config.load import load_config
from vinfo_mpi.config.schema import Config
from vinfo_mpi.data.preprocessing import Preprocessing
from vinfo_mpi.parallel.devices import Binding
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.run.run import Run
from vinfo_mpi.stages.train import digest_seed, order

PLACE = Path("runs/benchmarks")
ROUNDING = 1e-4  # largest difference of weights, relative to the largest of them
State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Case:
    """Photographs of `side` pixels, of which the network sees `size`, and who reads them."""

    images: int
    side: int
    size: int
    workers: int
    network: str = "resnet18"
    batch: int = 32

    def __str__(self) -> str:
        readers = f"{self.workers} processes read" if self.workers else "no processes read"
        return f"{self.network}, {self.images} JPEG of {self.side} to {self.size}, {readers}"


SMALL = [Case(256, 256, 64, workers) for workers in (0, 1)]
LARGE = [Case(2048, 400, size, workers) for size in (64, 224) for workers in (0, 1, 2)]


def cases(options: Options, chosen: Sequence[Case] | None = None) -> Iterator[list[Row]]:
    """Yield the rows of every case."""
    PLACE.mkdir(parents=True, exist_ok=True)
    for case in chosen or (LARGE if options.full else SMALL):
        with tempfile.TemporaryDirectory(dir=PLACE) as folder:
            yield trained(case, Path(folder), options)


def trained(case: Case, folder: Path, options: Options) -> list[Row]:
    """Return what an epoch takes."""
    images = folder / "images"
    photographs.write(images, case.images, case.side)
    config = _config(case, images)
    device = torch.device(options.device)
    numbers = count()

    def ours() -> State:
        run = _run(config, folder / f"ours_{next(numbers)}", device)
        with contextlib.redirect_stderr(io.StringIO()):
            run_stage(run, "train")
        run.end()
        return run.final.content()["state"]

    def reference() -> State:
        return _as_the_reference(config, images, device, folder / "reference.pth")

    rows = side_by_side.compare(
        str(case),
        [Contestant("ours", ours), Contestant("torchvision's reference", reference)],
        same,
        options.repeats,
    )
    for row in rows:
        row.note = f"{case.images / row.median:.1f} images/s; {row.note}".rstrip("; ")
    return rows


def same(answers: dict[str, State]) -> str:
    """Compare the weights."""
    ours, theirs = answers.values()
    differences = [
        (ours[name] - values).abs().max() / values.abs().max().clamp(min=1e-6)
        for name, values in theirs.items()
        if values.is_floating_point()
    ]
    assert ours.keys() == theirs.keys()
    worst = float(max(differences))
    assert worst <= ROUNDING, worst
    return f"weights within {worst:.0e}"


def _config(case: Case, images: Path) -> Config:
    """Return a configuration with a constant rate, and no images held out."""
    settings = [
        f"data={{source: folder, root: {images}, image_size: {case.size}, test_share: 0.001}}",
        f"network={{name: {case.network}, small_images: false}}",
        f"train={{epochs: 1, batch: {case.batch}, rate: 0.01, warmup_epochs: 0, schedule: step}}",
        "train.augment=resized-crop-flip",
        f"machine.workers={case.workers}",
    ]
    return load_config(DEFAULT_CONFIG, settings)


def _run(config: Config, folder: Path, device: torch.device) -> Run:
    gpu = torch.cuda.get_device_name() if device.type == "cuda" else ""
    bindings = [Binding(os.uname().nodename, str(device), gpu, gpu, 1, gpu)]
    return Run(config, folder, Ranks(), device, bindings, "benchmark")


def _as_the_reference(config: Config, folder: Path, device: torch.device, path: Path) -> State:
    """Train an epoch as torchvision's script does, from the weights that ours begins with."""
    options = config.train
    input_ = Preprocessing.from_config(config.data)
    seed = digest_seed(config.seed, 1)
    data = Augmented(folder, input_.size, input_.mean, input_.std, seed)
    loader: DataLoader = DataLoader(
        data,
        batch_size=options.batch,
        sampler=order(torch.arange(len(data.images)).numpy(), config.seed, 1).tolist(),
        num_workers=config.machine.workers,
        multiprocessing_context="forkserver" if config.machine.workers else None,
        pin_memory=device.type == "cuda",
        drop_last=True,
    )
    torch.manual_seed(config.seed)
    name = config.network.name or ""
    network = get_model(name, num_classes=len(data.images.classes)).to(device)
    criterion = nn.CrossEntropyLoss(label_smoothing=options.label_smoothing)
    optimiser = torch.optim.SGD(
        network.parameters(), options.rate, options.momentum, weight_decay=options.weight_decay
    )
    network.train()
    for images, labels in loader:
        inputs, expected = images.to(device), labels.to(device)
        outputs = network(inputs)
        loss = criterion(outputs, expected)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        right = outputs.topk(5).indices == expected[:, None]
        loss.item()
        for among in (1, 5):
            right[:, :among].any(1).float().mean().item()
    torch.save({"model": network.state_dict(), "optimizer": optimiser.state_dict()}, path)
    return {name: values.cpu() for name, values in network.state_dict().items()}


if __name__ == "__main__":
    from benchmarks import train

    # Processes that read would import this again, and start MPI in themselves: hide it.
    program = sys.modules["__main__"]
    program.__spec__ = None
    program.__dict__.pop("__file__", None)
    side_by_side.main(__doc__, "train", train.cases)
