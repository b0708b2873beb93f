"""State of a training: in memory, and in the checkpoints that it resumes from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import checkpoints
from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.run.run import Run


@dataclass
class Training:
    """State that changes while the network learns, and the settings that it depends on.

    Attributes
    ----------
    network : torch.nn.Module
    optimiser : torch.optim.Optimizer
    made_with : str
        What every checkpoint carries: settings, and the weights that it started from.
    ids : (N,) int64 array
        Images learned from.
    batch : int
        Images per step, over all ranks.
    epoch, step : int
        Epochs that are finished, and steps of the next one.
    """

    network: nn.Module
    optimiser: torch.optim.Optimizer
    made_with: str
    ids: np.ndarray
    batch: int
    epoch: int = 0
    step: int = 0

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return len(self.ids) // self.batch


def go_on(run: Run, training: Training) -> bool:
    """Take up an earlier training with the same settings; return whether there is one."""
    with run.ranks.together():
        start = _last(run, training.made_with)
        if start is None:
            folder = _folder(run)
            if any(folder.glob("epoch_*.pt")):
                raise InputError(
                    f"{folder} holds checkpoints that were made with other settings; name another "
                    "folder with --run-dir, or train again with python -m vinfo_mpi.train --force"
                )
            return False
        training.epoch = start.epoch
        later = _unfinished(run, start.epoch + 1)
        if later.path.exists():
            content = later.content()
            if content["made_with"] == training.made_with and content["epoch"] == later.epoch:
                start = later
                training.step = content["step"]
        start.load_into(training.network, training.optimiser)
        log.info("train: resuming after epoch %d, step %d", training.epoch, training.step)
    return True


def save(run: Run, training: Training, accuracy: float) -> None:
    """Keep the network after an epoch; the one before was only needed to resume."""
    folder = _folder(run)
    epochs = {checkpoint.epoch for checkpoint in run.checkpoints}
    before = training.epoch - 1

    def write() -> None:
        _write(training, checkpoints.at(folder, training.epoch), accuracy=accuracy)
        _unfinished(run, training.epoch).path.unlink(missing_ok=True)
        if before not in epochs:
            checkpoints.at(folder, before).path.unlink(missing_ok=True)

    run.ranks.on_root(write)


def save_unfinished(run: Run, training: Training) -> None:
    """Keep an unfinished epoch.

    The ranks agree on all but the statistics of the last batch, where rank 0's count.
    """
    checkpoint = _unfinished(run, training.epoch + 1)
    run.ranks.on_root(lambda: _write(training, checkpoint, step=training.step))


def remove_after(run: Run, epoch: int) -> None:
    """Remove the checkpoints after an epoch: they are of another course of the training."""
    for path in _folder(run).glob("epoch_*.pt"):
        if int(path.stem.removeprefix("epoch_")) > epoch:
            path.unlink()


def remove_all(run: Run) -> None:
    """Remove all checkpoints of ours, also of an unfinished epoch."""
    for path in _folder(run).glob("*.pt"):
        path.unlink()


def _last(run: Run, made_with: str) -> Checkpoint | None:
    """Return the last checkpoint of this very training before the first one that is missing."""

    def there(checkpoint: Checkpoint) -> bool:
        return checkpoint.path.exists() and checkpoint.record().get("made_with") == made_with

    missing = [checkpoint.epoch for checkpoint in run.checkpoints if not there(checkpoint)]
    first_missing = min(missing, default=run.config.train.epochs + 1)
    for epoch in range(first_missing - 1, -1, -1):
        checkpoint = checkpoints.at(_folder(run), epoch)
        if there(checkpoint):
            return checkpoint
    return None


def _write(training: Training, checkpoint: Checkpoint, **more: Any) -> None:
    checkpoints.save(
        checkpoint, training.network, training.optimiser, made_with=training.made_with, **more
    )


def _folder(run: Run) -> Path:
    return run.folder / "checkpoints"


def _unfinished(run: Run, epoch: int) -> Checkpoint:
    return Checkpoint(epoch, _folder(run) / "unfinished.pt")
