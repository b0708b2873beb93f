"""Sizes of data, network and program, before any work is done; brings torchvision along."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vinfo_mpi.concepts.sources import concept_kind
from vinfo_mpi.config.schema import Config
from vinfo_mpi.costs.sizes import Sizes
from vinfo_mpi.data import loading
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import branches, condition, footprint, heads, hidden, readout, taps
from vinfo_mpi.networks.branches import Block
from vinfo_mpi.networks.layouts import Tap
from vinfo_mpi.networks.positions import PILOT
from vinfo_mpi.networks.taps import Reading
from vinfo_mpi.parallel import malloc
from vinfo_mpi.registry import STAGES
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import UNLABELLED


def sizes(run: Run) -> Sizes:
    """Load the data, run blank images through the network, and count; on one rank.

    Raises
    ------
    InputError
        For anything wrong with data, network, weights or taps, so that it shows before any work.
    """
    config = run.config
    images = run.subject.images
    if images.classes == [UNLABELLED]:
        _check_labels_not_needed(config)
    network = run.subject.network().cpu()
    shape = run.subject.preprocessing.shape
    example = torch.zeros(1, *shape)
    condition.run_blank(network, shape)
    where = taps.find(network, config.extract, example)
    counter = FlopCounterMode(display=False)
    map_tap = config.dictionary.tap
    with torch.no_grad():
        blocks = branches.find(network, where, example) if config.extract.branches else {}
        with counter:
            reading = taps.read(network, where, example, config.extract, blocks, map_tap)
    readout.check(reading.outputs, config.network, images.classes, int(images.labels.max()))

    epochs = 0 if config.network.checkpoints else config.train.epochs
    learned = heads.learned(network, config.train.parameters if epochs else "all")
    weights = sum(value.nbytes for value in network.state_dict().values())
    _, positions, d = reading.map.shape
    outputs = reading.outputs.shape[1]
    linear = heads.linear(network, reading.map.mean(1), reading.outputs) is not None
    end = taps.tap_of_map(where, map_tap)
    kind = concept_kind(config.dictionary)
    kept_positions = positions
    if config.extract.positions != "all":
        kept_positions = min(config.extract.positions, positions)
    return Sizes(
        n=len(run.subject.ids),
        steps_of=len(images.training(config.train.per_class, config.seed)) * epochs,
        remembered=_remembered(run, epochs),
        size=max(shape[1:]),
        channels=shape[0],
        input=str(run.subject.preprocessing),
        checkpoints=len(run.checkpoints),
        classes=images.classes,
        outputs=outputs,
        positions=kept_positions,
        map=positions,
        d=d,
        widths=_widths(reading.pooled),
        branches=_widths(reading.branches),
        hidden=hidden.find(network, config.extract, example)[1],
        maps=sum(map(run.keeps_map, run.checkpoints)),
        concepts=kind.count(run, end.name, d, outputs),
        groups=kind.groups(run),
        linear=linear,
        weights=weights,
        trainable=sum(value.nbytes for value in learned),
        tensors=len(network.state_dict()) + len(learned),
        **_memory(run, network, where, blocks, epochs),
        operations=counter.get_total_flops(),
        head=2 * d * outputs if linear else _head(network, end, example, d),
        base=_program() - weights,  # which the stages that hold them count
    )


def _check_labels_not_needed(config: Config) -> None:
    """Raise `InputError` for settings that ask for labels, where the images have none."""
    needed = ""
    if config.train.epochs and not config.network.checkpoints:
        needed = "training; set train.epochs: 0, or network.checkpoints"
    elif config.dictionary.source == "nmf" and config.dictionary.kind == "class-wise":
        needed = "dictionary.kind: class-wise; set it to joint"
    elif config.importance.target == "label":
        needed = "importance.target: label; set it to prediction"
    if needed:
        raise InputError(
            f"the images of data.source {config.data.source} have no labels, which are needed by "
            f"{needed}"
        )


def _widths(vectors: Mapping[str, torch.Tensor]) -> dict[str, int]:
    return {name: values.shape[1] for name, values in vectors.items()}


def _tested(run: Run, epochs: int) -> int:
    """Return how many images a rank tests the training on."""
    return -(-int(run.subject.images.test.sum()) // run.ranks.size) if epochs else 0


@torch.no_grad()
def _head(network: nn.Module, tap: Tap, example: torch.Tensor, channels: int) -> int:
    """Return the operations of one vector's way from a tap to the logits."""
    head = heads.replaced(network, tap, example)
    head(example.new_zeros(1, channels))  # which tries how vectors can go on
    counts = []
    for vectors in (1, 2):
        with FlopCounterMode(display=False) as counter:
            head(example.new_zeros(vectors, channels))
        counts.append(counter.get_total_flops())
    one, two = counts
    return two - one


def _remembered(run: Run, epochs: int) -> int:
    """Return the bytes of images that a rank may come to remember."""
    if run.config.machine.workers:
        return 0
    of_rank = -(-len(run.subject.ids) // run.ranks.size) + _tested(run, epochs)
    images = min(len(run.subject.images.labels), of_rank)
    return min(loading.MEMORY, images * math.prod(run.subject.preprocessing.shape))


def _memory(
    run: Run, network: nn.Module, where: list[Tap], blocks: Mapping[str, Block], epochs: int
) -> dict[str, Any]:
    """Return the images of a pass through the network, and the bytes at its peaks: see `Sizes`."""
    machine = run.config.machine
    shape = run.subject.preprocessing.shape
    n = len(run.subject.ids)
    images = max(-(-n // run.ranks.size), _tested(run, epochs), min(PILOT, n))
    images_of_step = -(-run.config.train.batch // run.ranks.size)

    def read(images: torch.Tensor) -> Reading:
        map_tap = run.config.dictionary.tap
        return taps.read(network, where, images, run.config.extract, blocks, map_tap)

    batch = machine.batch or footprint.batch(read, shape, run.device.type)
    return {
        "batch": batch,
        "forward": footprint.forward(read, shape, min(batch, images)),
        "training": footprint.training(network, shape, images_of_step) if epochs else 0.0,
        "backward": footprint.to_the_pixels(network, shape, batch),
    }


def _program() -> float:
    """Return the bytes that this process holds when all is loaded that any stage loads."""
    for stage in STAGES.values():
        importlib.import_module(stage.module)
    return float(malloc.resident())
