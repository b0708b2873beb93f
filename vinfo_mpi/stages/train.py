"""Train the network, data-parallel over the ranks, keeping a checkpoint of every epoch."""

from __future__ import annotations

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

from vinfo_mpi import units
from vinfo_mpi.config.schema import Train
from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import heads, precision
from vinfo_mpi.numerics.hashing import hashed
from vinfo_mpi.parallel import devices, prefetch
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches, block
from vinfo_mpi.run import freshness
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.provenance import digest
from vinfo_mpi.run.run import Run
from vinfo_mpi.stages.training_state import (
    Training,
    go_on,
    remove_after,
    remove_all,
    save,
    save_unfinished,
)

BUCKET = 25 * 2**20  # bytes of gradients that DistributedDataParallel sends at a time
FLOAT32 = 4  # bytes of a number, as sizes are counted
TENSOR = 250  # bytes in a checkpoint beside a tensor's values: name, two zip headers, alignment


def train_network(run: Run, part: Part) -> None:
    """Bring the checkpoints up to date, resuming an earlier training where it stopped."""
    training = _prepare(run)
    if part.repeat:
        run.ranks.on_root(remove_all, run)
    if not go_on(run, training):
        save(run, training, _accuracy(run, training.network))
    run.ranks.on_root(remove_after, run, training.epoch)
    if training.epoch < run.config.train.epochs:
        with run.ranks.together():
            precision.check(run.config.train.precision, run.device, "train.precision")
        run.subject.say_input()
        _train_epochs(run, training)


def costs(work: Workload) -> Costs:
    """Return what training takes: nothing where the weights are taken as they are."""
    sizes = work.sizes
    disk = 0.0
    if not work.config.network.checkpoints:  # the user's own lie elsewhere
        disk = _saved(work, sizes.checkpoints - 1) + _saved(work, 1, momentum=False)
    if not sizes.steps_of:
        return Costs(disk={"checkpoints": disk})
    images = max(-(-work.config.train.batch // work.ranks), work.sizes.batch)
    epochs = work.config.train.epochs
    steps = epochs * (sizes.steps_of // max(1, epochs) // work.config.train.batch)
    return Costs(
        memory=_memory(work),
        host=2 * _wide(work) * sizes.weights
        + formulas.images_in_flight(work, images, prefetch.AHEAD),
        operations=3.0 * sizes.operations * sizes.steps_of,
        sent=work.sent(_wide(work) * sizes.trainable / formulas.NUMBER * steps),
        disk={"checkpoints": disk},
        temporary=_saved(work, 1),  # an unfinished epoch
    )


def _memory(work: Workload) -> float:
    sizes = work.sizes
    train = work.config.train
    wide = _wide(work)
    images = -(-train.batch // work.ranks)
    step = wide * sizes.training + formulas.images_in_flight(work, images, prefetch.AHEAD)
    step += min(BUCKET, wide * sizes.trainable)
    saving = wide * sizes.weights  # a copy while a checkpoint is written
    in_flight = formulas.images_in_flight(work, work.sizes.batch, prefetch.AHEAD)
    testing = wide * sizes.forward + in_flight
    # Weights, gradients, buckets of them, momentum.
    return wide * (sizes.weights + 3 * sizes.trainable) + max(step, saving, testing)


def _wide(work: Workload) -> float:
    """Return how many times the bytes of float32 the numbers of a training take."""
    return precision.dtype_of(work.config.train.precision).itemsize / FLOAT32


def _saved(work: Workload, count: int, momentum: bool = True) -> float:
    """Return the bytes of so many checkpoints on disk; the last one needs no momentum."""
    values = _wide(work) * (work.sizes.weights + momentum * work.sizes.trainable)
    return float(count * (values + TENSOR * work.sizes.tensors))


def rate(options: Train, epoch: float) -> float:
    """Return the learning rate at a (fractional) epoch, counted from 0.

    A linear warm-up, then the schedule.
    """
    if epoch < options.warmup_epochs:
        return options.rate * (epoch + 1e-3) / options.warmup_epochs
    if options.schedule == "step":
        return options.rate * 0.1 ** sum(epoch >= step for step in options.step_epochs)
    done = (epoch - options.warmup_epochs) / max(1e-9, options.epochs - options.warmup_epochs)
    return options.rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def order(ids: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Return the ids in the order of an epoch: it depends on ids, seed and epoch alone."""
    return ids[np.argsort(hashed(ids, seed * 100_003 + epoch), kind="stable")]


def _prepare(run: Run) -> Training:
    """Return the training at its beginning; raise `InputError` where there can be none."""
    if run.config.network.checkpoints:
        raise InputError(
            "train: network.checkpoints names your own checkpoints; remove it to train here"
        )
    options = run.config.train
    ids = run.subject.images.training(options.per_class, run.config.seed, run.subject.skipped)
    batch = min(options.batch, len(ids))
    if options.epochs and batch < run.ranks.size:
        raise InputError(
            f"train.batch: {units.counted(batch, 'image')} per step, fewer than the "
            f"{run.ranks.size} ranks; "
            "use fewer ranks"
        )
    network = run.subject.network().to(precision.dtype_of(options.precision))
    return Training(network, optimiser_of(network, options), freshness.made_with(run), ids, batch)


def optimiser_of(network: nn.Module, options: Train) -> torch.optim.Optimizer:
    """Return what changes a network's weights; of none where they are frozen and stay as they are.

    Raises
    ------
    InputError
        If it is to be trained, and all its weights are frozen.
    """
    learned = heads.learned(network, options.parameters)
    if options.epochs and not learned:
        raise InputError(
            f"train.epochs: {options.epochs}, but all weights of this network are frozen "
            "(requires_grad is false); unfreeze some, or set train.epochs: 0"
        )
    return torch.optim.SGD(
        [{"params": learned}],  # a list of parameters must not be empty, that of a group may
        lr=options.rate,
        momentum=options.momentum,
        weight_decay=options.weight_decay,
    )


def _train_epochs(run: Run, training: Training) -> None:
    """Train, and save every epoch, until all are finished."""
    epochs = run.config.train.epochs
    steps_left = (epochs - training.epoch) * training.steps - training.step
    with _process_group(run), run.bar("train: steps", steps_left) as bar:
        parallel = DistributedDataParallel(
            training.network, device_ids=[run.device] if run.device.type == "cuda" else None
        )
        while training.epoch < epochs:
            _train_epoch(run, training, parallel, bar)
            accuracy = _accuracy(run, training.network)
            save(run, training, accuracy)
            log.info(
                "train: epoch %d of %d, %.2f %% of the held-out images correct",
                training.epoch,
                epochs,
                100 * accuracy,
            )


def _train_epoch(run: Run, training: Training, parallel: nn.Module, bar: tqdm) -> None:
    """Finish the epoch.

    Every step follows from the one before, the seed and the images' ids, so that it can be left
    anywhere.
    """
    options = run.config.train
    seed = run.config.seed
    epoch = training.epoch + 1
    steps = training.steps
    dtype = precision.dtype_of(options.precision)
    loss = nn.CrossEntropyLoss(label_smoothing=options.label_smoothing)
    in_order = order(training.ids, seed, epoch)[: steps * training.batch]
    columns = block(training.batch, run.ranks.size, run.ranks.rank)
    ids = in_order.reshape(steps, training.batch)[:, columns.start : columns.stop]
    parallel.train(options.parameters == "all")
    for images, _, labels in run.subject.loader.batches(
        list(ids[training.step :]), options.augment, digest_seed(seed, epoch)
    ):
        torch.manual_seed(digest_seed(seed, epoch, training.step, run.ranks.rank))
        for group in training.optimiser.param_groups:
            group["lr"] = rate(options, epoch - 1 + training.step / steps)
        training.optimiser.zero_grad(set_to_none=True)
        with precision.computing(options.precision, run.device):
            outputs = parallel(images.to(dtype))
        # Without waiting for the device.
        expected = labels.to(run.device, non_blocking=True)
        loss(outputs.to(dtype), expected).backward()
        training.optimiser.step()
        training.step += 1
        bar.update()
        run.safe_point(lambda: save_unfinished(run, training))
    for buffer in training.network.buffers():
        torch.distributed.broadcast(buffer, 0)  # each rank has its own statistics of the last batch
    parallel.eval()
    training.epoch = epoch
    training.step = 0


@torch.no_grad()
def _accuracy(run: Run, network: nn.Module) -> float:
    """Return the share of held-out images that the network gets right."""
    ids = np.flatnonzero(run.subject.images.test)
    ids = ids[~np.isin(ids, list(run.subject.skipped))]
    blocks = batches(run.ranks.block(len(ids)), run.batch)
    dtype = precision.dtype_of(run.config.train.precision)
    right = torch.zeros(1, dtype=torch.float64)
    for images, _, labels in run.subject.loader.batches(
        [ids[rows.start : rows.stop] for rows in blocks]
    ):
        with precision.computing(run.config.train.precision, run.device):
            outputs = network(images.to(dtype))
        right += (outputs.argmax(1).cpu() == labels).sum()
    return run.ranks.sum(right).item() / max(1, len(ids))


def digest_seed(*parts: int) -> int:
    """Return a seed that differs whenever any of the numbers does."""
    return int(digest(*parts), 16) % 2**63


@contextmanager
def _process_group(run: Run) -> Iterator[None]:
    """Open torch's process group, its rendezvous agreed on through MPI."""
    ranks = run.ranks
    one_node = len(set(ranks.hosts())) == 1
    if one_node:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    backend = "nccl" if devices.own_cards(run.bindings) else "gloo"

    def free_port() -> tuple[str, int]:
        host = "127.0.0.1" if one_node else socket.gethostname()
        with socket.socket() as probe:
            probe.bind(("", 0))
            return host, probe.getsockname()[1]

    host, port = ranks.on_root(free_port)
    torch.distributed.init_process_group(
        backend, init_method=f"tcp://{host}:{port}", rank=ranks.rank, world_size=ranks.size
    )
    yield  # after a failure the guard ends all ranks: closing the group would wait for them
    torch.distributed.destroy_process_group()
