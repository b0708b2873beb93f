"""A look at a few images before all are read: taps, branches, shapes, means, the head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from vinfo_mpi.networks import branches, heads, taps
from vinfo_mpi.networks.branches import Block
from vinfo_mpi.networks.layouts import Tap
from vinfo_mpi.networks.positions import PILOT
from vinfo_mpi.numerics.arrays import evenly_spaced
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.run.run import Run


@dataclass
class Pilot:
    """Facts about the network, found with a few images before the work begins.

    Attributes
    ----------
    taps : list of Tap
        In forward order.
    blocks : dict of str to Block
        Residual blocks among them whose branches are kept.
    shifts : dict of str to (d,) float32 array
        Mean activations of taps and branches.
    map_shape : tuple of int
        Positions and channels of the tap whose map is kept.
    outputs : int
        Number of logits.
    head : arrays (C, d) and (C,), or None
        Weight and bias of a linear head.
    """

    taps: list[Tap]
    blocks: dict[str, Block]
    shifts: dict[str, np.ndarray]
    map_shape: tuple[int, int]
    outputs: int
    head: tuple[np.ndarray, np.ndarray] | None


def few_images(run: Run) -> list[torch.Tensor]:
    """Return a few images, spread evenly over those analysed, in batches of the machine."""
    ids = run.subject.ids[evenly_spaced(len(run.subject.ids), PILOT)]
    blocks = batches(range(len(ids)), run.batch)
    read = run.subject.loader.batches([ids[block.start : block.stop] for block in blocks])
    return [images for images, _, _ in read]


@torch.inference_mode()
def look_ahead(
    run: Run, network: nn.Module, few: Sequence[torch.Tensor], with_branches: bool
) -> Pilot:
    """Find taps, branches, mean activations, shapes and the head on `few_images`.

    In float32: what is added up or linear shows in all its digits alone.
    """
    exact = run.config.extract.model_copy(update={"precision": "float32"})
    map_tap = run.config.dictionary.tap
    vectors: list[dict[str, torch.Tensor]] = []
    means = []
    outputs = []
    for images in few:
        if not vectors:
            where = taps.find(network, run.config.extract, images[:1])
            # One image has thousands of positions to test the claim on, and all outputs of all
            # blocks are held at once.
            blocks = branches.find(network, where, images[:1]) if with_branches else {}
        reading = taps.read(network, where, images, exact, blocks, map_tap)
        vectors.append(reading.pooled | reading.branches)
        means.append(reading.map.mean(1))  # maps of all images would take more than a batch does
        outputs.append(reading.outputs)
    linear = heads.linear(network, torch.cat(means), torch.cat(outputs))
    head = None if linear is None else (linear[0].cpu().numpy(), linear[1].cpu().numpy())
    _, positions, channels = reading.map.shape
    return Pilot(
        where,
        blocks,
        {name: _mean([of_batch[name] for of_batch in vectors]) for name in vectors[0]},
        (positions, channels),
        reading.outputs.shape[1],
        head,
    )


def _mean(vectors: list[torch.Tensor]) -> np.ndarray:
    """Return the mean of vectors, given batch by batch: (d,) float32.

    NaN counts as 0 here: one bad image must not spoil what is subtracted from all others.
    """
    joined = torch.cat(vectors).double().nan_to_num(0, 0, 0)
    return joined.mean(0).float().cpu().numpy()
