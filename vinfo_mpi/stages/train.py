"""Train the network, data-parallel over the ranks, keeping a checkpoint of every epoch."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from vinfo_mpi.config.schema import Train
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import checkpoints, heads
from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.numerics.hashing import hashed
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches, block
from vinfo_mpi.run import freshness
from vinfo_mpi.run.provenance import digest
from vinfo_mpi.run.run import Run


@dataclass
class Training:
    """What changes while the network learns, and what says how.

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


def run(run: Run, force: bool = False) -> None:
    """Bring the checkpoints up to date, going on from where an earlier training was left."""
    if run.config.network.checkpoints:
        raise InputError("train: network.checkpoints names your own checkpoints; remove it to train here")
    options, ids = run.config.train, run.subject.images.training(run.subject.skipped)
    batch = min(options.batch, len(ids))
    if batch < run.ranks.size:
        raise InputError(f"train.batch: {batch} images per step are fewer than {run.ranks.size} ranks; use fewer ranks")
    network = run.subject.network()
    learned = heads.learned(network, options.parameters)
    optimiser = torch.optim.SGD(learned, lr=options.rate, momentum=options.momentum, weight_decay=options.weight_decay)
    training = Training(network, optimiser, freshness.made_with(run), ids, batch)
    if force:
        run.ranks.on_root(_remove_after, run, -1)
    if not _go_on(run, training):
        _save(run, training, _accuracy(run, network))
    run.ranks.on_root(_remove_after, run, training.epoch)
    if training.epoch == options.epochs:
        return

    left = (options.epochs - training.epoch) * training.steps - training.step
    with _process_group(run), run.bar("train: steps", left) as bar:
        parallel = DistributedDataParallel(network, device_ids=[run.device] if run.device.type == "cuda" else None)
        while training.epoch < options.epochs:
            _train_epoch(run, training, parallel, bar)
            accuracy = _accuracy(run, network)
            _save(run, training, accuracy)
            log.info("train: epoch %d of %d, %.2f %% of the held-out images correct",
                     training.epoch, options.epochs, 100 * accuracy)  # fmt: skip


def rate(options: Train, epoch: float) -> float:
    """Return the learning rate at a (fractional) epoch, counted from 0: linear warm-up, then the schedule."""
    if epoch < options.warmup_epochs:
        return options.rate * (epoch + 1e-3) / options.warmup_epochs
    if options.schedule == "step":
        return options.rate * 0.1 ** sum(epoch >= step for step in options.step_epochs)
    done = (epoch - options.warmup_epochs) / max(1e-9, options.epochs - options.warmup_epochs)
    return options.rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def order(ids: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Return the ids in the order of an epoch; it depends on ids, seed and epoch, not on the ranks."""
    return ids[np.argsort(hashed(ids, seed * 100_003 + epoch), kind="stable")]


def _train_epoch(run: Run, training: Training, parallel: nn.Module, bar: tqdm) -> None:
    """Finish the epoch; every step follows from the one before, the seed and the images' ids, so that it can be left anywhere."""
    options, ranks, seed = run.config.train, run.ranks, run.config.seed
    epoch, steps = training.epoch + 1, training.steps
    loss = nn.CrossEntropyLoss(label_smoothing=options.label_smoothing)
    mine = block(training.batch, ranks.size, ranks.rank)
    own = order(training.ids, seed, epoch)[: steps * training.batch].reshape(steps, training.batch)[:, mine.start : mine.stop]
    parallel.train(options.parameters == "all")
    for images, _, labels in run.subject.loader.batches(list(own[training.step :]), options.augment, digest_seed(seed, epoch)):
        torch.manual_seed(digest_seed(seed, epoch, training.step, ranks.rank))
        for group in training.optimiser.param_groups:
            group["lr"] = rate(options, epoch - 1 + training.step / steps)
        training.optimiser.zero_grad(set_to_none=True)
        loss(parallel(images), labels.to(run.device)).backward()
        training.optimiser.step()
        training.step += 1
        bar.update()
        run.safe_point(lambda: _keep(run, training))
    for buffer in training.network.buffers():
        torch.distributed.broadcast(buffer, 0)  # each rank has its own statistics of the last batch
    parallel.eval()
    training.epoch, training.step = epoch, 0


@torch.no_grad()
def _accuracy(run: Run, network: nn.Module) -> float:
    """Return the share of held-out images that the network gets right."""
    ids = np.flatnonzero(run.subject.images.test)
    ids = ids[~np.isin(ids, list(run.subject.skipped))]
    mine = run.ranks.block(len(ids))
    right = torch.zeros(1, dtype=torch.float64)
    cut = [ids[part.start : part.stop] for part in batches(mine, run.config.machine.batch)]
    for images, _, labels in run.subject.loader.batches(cut):
        right += (network(images).argmax(1).cpu() == labels).sum()
    return run.ranks.sum(right).item() / max(1, len(ids))


def _save(run: Run, training: Training, accuracy: float) -> None:
    """Keep the network after an epoch; the one before was only needed to go on from."""
    folder, kept = run.folder / "checkpoints", {one.epoch for one in run.checkpoints}

    def save() -> None:
        _write(training, checkpoints.at(folder, training.epoch), accuracy=accuracy)
        _unfinished(run, training.epoch).path.unlink(missing_ok=True)
        if training.epoch - 1 not in kept:
            checkpoints.at(folder, training.epoch - 1).path.unlink(missing_ok=True)

    run.ranks.on_root(save)


def _keep(run: Run, training: Training) -> None:
    """Keep an unfinished epoch: the ranks agree on all but the statistics of the last batch, where rank 0's count."""
    run.ranks.on_root(lambda: _write(training, _unfinished(run, training.epoch + 1), step=training.step))


def _remove_after(run: Run, epoch: int) -> None:
    """Remove the checkpoints after an epoch: they are of another course of the training."""
    for path in (run.folder / "checkpoints").glob("epoch_*.pt"):
        if int(path.stem.removeprefix("epoch_")) > epoch:
            path.unlink()
    if epoch < 0:
        _unfinished(run, 0).path.unlink(missing_ok=True)


def _write(training: Training, checkpoint: Checkpoint, **others: Any) -> None:
    checkpoints.save(checkpoint, training.network, training.optimiser, made_with=training.made_with, **others)


def _unfinished(run: Run, epoch: int) -> Checkpoint:
    return Checkpoint(epoch, run.folder / "checkpoints" / "unfinished.pt")


def _go_on(run: Run, training: Training) -> bool:
    """Take up an earlier training with the same settings; return whether there is one."""
    folder = run.folder / "checkpoints"
    with run.ranks.together():
        start = _last(run, training.made_with)
        if start is None:
            if any(folder.glob("epoch_*.pt")):
                raise InputError(
                    f"{folder} holds checkpoints that were made otherwise; name another folder with --run-dir, "
                    "or train again with python -m vinfo_mpi.train --force"
                )
            return False
        training.epoch = start.epoch
        if (later := _unfinished(run, start.epoch + 1)).path.exists():
            content = later.content()
            if content["made_with"] == training.made_with and content["epoch"] == later.epoch:
                start, training.step = later, content["step"]
        start.load_into(training.network, training.optimiser)
        log.info("train: going on after epoch %d, step %d", training.epoch, training.step)
    return True


def _last(run: Run, made_with: str) -> Checkpoint | None:
    """Return the last checkpoint of this very training before the first one that is missing."""

    def there(one: Checkpoint) -> bool:
        return one.path.exists() and one.content().get("made_with") == made_with

    missing = min((one.epoch for one in run.checkpoints if not there(one)), default=run.config.train.epochs + 1)
    earlier = (checkpoints.at(run.folder / "checkpoints", epoch) for epoch in range(missing - 1, -1, -1))
    return next(filter(there, earlier), None)


def digest_seed(*parts: int) -> int:
    """Return a seed that differs whenever any part does."""
    return int(digest(*parts), 16) % 2**63


@contextmanager
def _process_group(run: Run) -> Iterator[None]:
    """Open torch's process group, its rendezvous agreed on through MPI."""
    ranks = run.ranks
    one_node = len(set(ranks.hosts())) == 1
    if one_node:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    devices = {(one.host, one.uuid) for one in run.bindings if one.uuid}
    backend = "nccl" if len(devices) == ranks.size else "gloo"  # NCCL wants a GPU of its own for every rank

    def port() -> tuple[str, int]:
        with socket.socket() as probe:
            probe.bind(("", 0))
            return ("127.0.0.1" if one_node else socket.gethostname()), probe.getsockname()[1]

    host, number = ranks.on_root(port)
    torch.distributed.init_process_group(backend, init_method=f"tcp://{host}:{number}", rank=ranks.rank, world_size=ranks.size)
    yield  # after a failure the guard ends all ranks: closing the group would wait for them
    torch.distributed.destroy_process_group()
