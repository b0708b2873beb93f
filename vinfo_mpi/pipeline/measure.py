"""How large the data, the network and the program are, before any work is done. It brings torchvision along."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from vinfo_mpi.concepts import sources
from vinfo_mpi.costs.sizes import Sizes
from vinfo_mpi.data import loading
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import branches, footprint, heads, taps
from vinfo_mpi.networks.positions import PILOT
from vinfo_mpi.parallel import malloc
from vinfo_mpi.run.run import Run


def sizes(run: Run) -> Sizes:
    """Load the data, run blank images through the network, and count; on one rank.

    Raises
    ------
    InputError
        For anything wrong with data, network, weights or taps, so that it shows before any work is done.
    """
    config, images, ranks, pixels = run.config, run.subject.images, run.ranks.size, run.subject.preprocessing.size
    network, example = run.subject.network().cpu(), torch.zeros(1, 3, pixels, pixels)
    names = taps.find(network, config.extract, example)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        blocks = branches.find(network, names, example) if config.extract.branches else {}
        reading = taps.read(network, names, example, config.extract, blocks)
    if reading.outputs.ndim != 2:
        raise InputError(f"the network returns shape {tuple(reading.outputs.shape)}; expected logits (N, C)")
    if images.labels.max() >= reading.outputs.shape[1]:
        raise InputError(
            f"the network has {reading.outputs.shape[1]} outputs, but labels go up to {images.labels.max()}; "
            "choose a network for these classes"
        )
    _, positions, d = reading.map.shape
    classes, n, epochs = images.classes, len(run.subject.ids), 0 if config.network.checkpoints else config.train.epochs
    by_class = config.dictionary.source == "nmf" and config.dictionary.kind == "class-wise"
    tested = -(-int(images.test.sum()) // ranks) if epochs else 0
    known = min(len(images.labels), -(-n // ranks) + tested)
    batch = min(config.machine.batch, max(-(-n // ranks), tested, min(PILOT, n)))
    learned = heads.learned(network, config.train.parameters if epochs else "all")
    weights = sum(value.nbytes for value in network.state_dict().values())
    return Sizes(
        n=n,
        steps_of=int((~images.test).sum()) * epochs,
        remembered=0 if config.machine.workers else min(loading.MEMORY, known * 3 * pixels**2),
        size=pixels,
        checkpoints=len(run.checkpoints),
        classes=classes,
        outputs=reading.outputs.shape[1],
        positions=positions if config.extract.positions == "all" else min(config.extract.positions, positions),
        map=positions,
        d=d,
        widths={name: pooled.shape[1] for name, pooled in reading.pooled.items()},
        branches={name: pooled.shape[1] for name, pooled in reading.branches.items()},
        maps=sum(map(run.keeps_map, run.checkpoints)),
        concepts=sources.count(run, names[-1], d, reading.outputs.shape[1]),
        groups=len(classes) if by_class else 1,
        linear=heads.linear(network, reading.map.mean(1), reading.outputs) is not None,
        weights=weights,
        trainable=sum(value.nbytes for value in learned),
        tensors=len(network.state_dict()) + len(learned),
        forward=footprint.forward(lambda batch: taps.read(network, names, batch, config.extract, blocks), pixels, batch),
        training=footprint.training(network, pixels, -(-config.train.batch // ranks)) if epochs else 0.0,
        # Back to the pixels takes no more than back to the weights, of as many images as pass forward at once.
        backward=footprint.training(network, pixels, config.machine.batch),
        operations=counter.get_total_flops(),
        # By now everything has been loaded that the stages load. The weights are counted by the stages that hold them.
        base=float(malloc.resident()) - weights,
    )
