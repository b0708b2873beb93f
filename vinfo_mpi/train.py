"""Train the network, data-parallel over the ranks, keeping a checkpoint of every epoch.

mpirun -n 8 python -m vinfo_mpi.train
"""

from __future__ import annotations

from vinfo_mpi import command

if __name__ == "__main__":
    command.main("train", __doc__)  # before the imports below: --help and mistakes answer without torch

import math
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.distributed
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from vinfo_mpi import pipeline
from vinfo_mpi.config import Train
from vinfo_mpi.errors import InputError
from vinfo_mpi.numerics.folds import hashed
from vinfo_mpi.parallel.division import block
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.run import Run, digest
from vinfo_mpi.vision import checkpoints
from vinfo_mpi.vision.checkpoints import Checkpoint


def run(run: Run, force: bool = False) -> None:
    """Bring the checkpoints up to date, going on from the last one that is there."""
    if run.config.network.checkpoints:
        raise InputError("train: network.checkpoints names your own checkpoints; remove it to train here")
    options, ids = run.config.train, run.subject.images.training(run.subject.skipped)
    batch = min(options.batch, len(ids))
    if batch < run.ranks.size:
        raise InputError(f"train.batch: {batch} images per step are fewer than {run.ranks.size} ranks; use fewer ranks")
    made_with = pipeline.made_with(run)
    folder = run.folder / "checkpoints"
    kept = {one.epoch for one in run.checkpoints}

    network = run.subject.network()
    optimiser = torch.optim.SGD(network.parameters(), lr=options.rate, momentum=options.momentum, weight_decay=options.weight_decay)
    with run.ranks.together():
        start = None if force else _last(run, made_with)
        if start is not None:
            start.load_into(network)
            optimiser.load_state_dict(start.content()["optimiser"])
            log.info("train: going on after epoch %d", start.epoch)
    with run.ranks.together():
        if start is None and not force and any(folder.glob("epoch_*.pt")):
            raise InputError(
                f"{folder} holds checkpoints that were made otherwise; name another folder with --run-dir, "
                "or train again with python -m vinfo_mpi.train --force"
            )
    if start is None:
        _save(run, 0, network, optimiser, made_with, _accuracy(run, network))

    steps = len(ids) // batch
    first = start.epoch + 1 if start else 1
    with _process_group(run), run.bar("train: steps", (options.epochs + 1 - first) * steps) as bar:
        for epoch in range(first, options.epochs + 1):
            _train_epoch(run, network, optimiser, ids, epoch, batch, bar)
            accuracy = _accuracy(run, network)
            log.info("train: epoch %d of %d, %.2f %% of the held-out images correct", epoch, options.epochs, 100 * accuracy)
            _save(run, epoch, network, optimiser, made_with, accuracy)
            if run.ranks.is_root and epoch - 1 not in kept:
                checkpoints.at(folder, epoch - 1).path.unlink(missing_ok=True)


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


def _train_epoch(
    run: Run, network: nn.Module, optimiser: torch.optim.Optimizer, ids: np.ndarray, epoch: int, batch: int, bar: tqdm
) -> None:
    options, ranks = run.config.train, run.ranks
    torch.manual_seed(digest_seed(run.config.seed, epoch, ranks.rank))
    parallel = DistributedDataParallel(network, device_ids=[run.device] if run.device.type == "cuda" else None)
    loss = nn.CrossEntropyLoss(label_smoothing=options.label_smoothing)
    mine = block(batch, ranks.size, ranks.rank)
    steps = len(ids) // batch
    own = order(ids, run.config.seed, epoch)[: steps * batch].reshape(steps, batch)[:, mine.start : mine.stop].ravel()
    network.train()
    for step, (images, _, labels) in enumerate(run.subject.loader.batches(own, len(mine), options.augment)):
        for group in optimiser.param_groups:
            group["lr"] = rate(options, epoch - 1 + step / steps)
        optimiser.zero_grad(set_to_none=True)
        loss(parallel(images), labels.to(run.device)).backward()
        optimiser.step()
        bar.update()
    for buffer in network.buffers():
        torch.distributed.broadcast(buffer, 0)  # each rank has its own statistics of the last batch
    network.eval()


@torch.no_grad()
def _accuracy(run: Run, network: nn.Module) -> float:
    """Return the share of held-out images that the network gets right."""
    ids = np.flatnonzero(run.subject.images.test)
    ids = ids[~np.isin(ids, list(run.subject.skipped))]
    mine = run.ranks.block(len(ids))
    right = torch.zeros(1, dtype=torch.float64)
    for images, _, labels in run.subject.loader.batches(ids[mine.start : mine.stop], run.config.machine.batch):
        right += (network(images).argmax(1).cpu() == labels).sum()
    return run.ranks.sum(right).item() / max(1, len(ids))


def _save(run: Run, epoch: int, network: nn.Module, optimiser: torch.optim.Optimizer, made_with: str, accuracy: float) -> None:
    """Keep everything that is needed to go on from this epoch."""
    others = {"optimiser": optimiser.state_dict(), "made_with": made_with, "accuracy": accuracy}
    run.ranks.on_root(lambda: checkpoints.save(checkpoints.at(run.folder / "checkpoints", epoch), network, **others))


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
