"""Checkpoints that are extracted together: each image is read once for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import branches, condition, taps, tokens
from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.networks.held_weights import HeldWeights
from vinfo_mpi.networks.positions import kept_positions
from vinfo_mpi.parallel import transfer
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.transfer import Arriving
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.stages import extracted
from vinfo_mpi.stages.pilot import Pilot, few_images, look_ahead
from vinfo_mpi.storage.activations import Layout
from vinfo_mpi.storage.row_file import RowFile
from vinfo_mpi.storage.row_writer import RowWriter
from vinfo_mpi.storage.rows import Column, batch_rows


class Member(NamedTuple):
    """A checkpoint of the group.

    Attributes
    ----------
    checkpoint : Checkpoint
    pilot : Pilot
    shifts : dict of str to (d,) tensor
        What is subtracted from taps and branches, on the device.
    columns : dict of str to Column
    file : RowFile
    """

    checkpoint: Checkpoint
    pilot: Pilot
    shifts: dict[str, torch.Tensor]
    columns: dict[str, Column]
    file: RowFile


class Passed(NamedTuple):
    """A checkpoint's output for a batch, in transfer: None where its file has these rows."""

    rows: range
    number: int
    sent: Arriving | None
    ids: np.ndarray
    labels: np.ndarray
    contents: np.ndarray


def extract_group(
    run: Run, part: Part, network: nn.Module, group: Sequence[Checkpoint], bar: tqdm
) -> None:
    """Write the activations of some checkpoints, in one pass over the images.

    Each rank reads its own images and writes its own rows. Branches are kept for the network that
    is analysed, maps where they are asked for.
    """
    weights = HeldWeights(network)
    with run.clock.phase("pilot"):
        members = _look_ahead(run, part, network, weights, group)
    size = min(batch_rows(member.columns, run.batch) for member in members)
    with run.writer([member.file for member in members], size) as writer:
        _say_reused(run, members, bar)
        under_way = transfer.one_ahead(_passes(run, network, weights, members, writer), run.device)
        for passed in under_way:
            values = {}
            if passed.sent is not None:
                name = members[passed.number].checkpoint.name
                known = (passed.ids, passed.labels, passed.contents)
                with run.clock.phase("network", wait=False):
                    values = extracted.values(run, name, passed.sent, *known)
                bar.update(len(passed.rows))
            with run.clock.phase("write", wait=False):
                writer.write(passed.rows.start, values, passed.number)


def _look_ahead(
    run: Run, part: Part, network: nn.Module, weights: HeldWeights, group: Sequence[Checkpoint]
) -> list[Member]:
    """Load every checkpoint, look at what it makes of a few images, and hold its weights.

    One checkpoint alone stays in the network.
    """
    members = []
    few: list[torch.Tensor] = []  # on one rank
    run.ranks.on_root(lambda: few.extend(few_images(run)))
    for checkpoint in group:
        checkpoint.load_into(network)

        def look(checkpoint: Checkpoint = checkpoint) -> Pilot:
            two = torch.cat([images[:2] for images in few[:2]])[:2]
            condition.check_images_alone(network, two)
            if len(group) > 1:
                weights.note(two)
            keep_branches = checkpoint == run.final and run.config.extract.branches
            return look_ahead(run, network, few, keep_branches)

        if len(group) > 1:
            weights.hold()
        members.append(_member(run, part, checkpoint, run.ranks.on_root(look)))
    run.ranks.on_root(_check_put_back, weights, few, group)
    return members


def _check_put_back(
    weights: HeldWeights, few: Sequence[torch.Tensor], group: Sequence[Checkpoint]
) -> None:
    """Raise `InputError` where weights that are put back are not what was loaded; on one rank."""
    number = weights.altered(torch.cat([images[:2] for images in few[:2]])[:2])
    if number is not None:
        raise InputError(
            f"{group[number].name}: with its weights put back the network gives other outputs than "
            "after they were loaded: it computes with something that is not one of its parameters "
            "and buffers; set machine.checkpoints: 1"
        )


def _member(run: Run, part: Part, checkpoint: Checkpoint, pilot: Pilot) -> Member:
    """Return a checkpoint with its file, which is not open yet; all ranks together."""
    if checkpoint == run.final and (sentence := tokens.sentence(pilot.taps)) is not None:
        log.info("extract: %s", sentence)
    shifts = {name: torch.from_numpy(shift).to(run.device) for name, shift in pilot.shifts.items()}
    layout = _layout(run, pilot, run.keeps_map(checkpoint))
    columns = layout.columns()
    file = run.row_file(
        run.activations(checkpoint),
        columns,
        len(run.subject.ids),
        part.provenance_of(checkpoint) | {"epoch": checkpoint.epoch},
        layout.tables(),
        resume=True,
    )
    return Member(checkpoint, pilot, shifts, columns, file)


def _say_reused(run: Run, members: Sequence[Member], bar: tqdm) -> None:
    """Log what ended jobs have left of the open files."""
    n = len(run.subject.ids)
    for checkpoint, *_, file in members:
        if file.reused:
            left = n - file.reused
            log.info("extract: %s: %d images reused, %d to do", checkpoint.name, file.reused, left)
        bar.update(len(file.block) - sum(map(len, file.todo)))


@torch.inference_mode()
def _passes(
    run: Run,
    network: nn.Module,
    weights: HeldWeights,
    members: Sequence[Member],
    writer: RowWriter,
) -> Iterator[Passed]:
    """Yield what every checkpoint makes of every batch that a file lacks, in the writer's order."""
    ids = run.subject.ids
    loader = run.subject.loader
    map_tap = run.config.dictionary.tap
    todo = [set(member.file.todo) for member in members]
    read = loader.batches([ids[rows.start : rows.stop] for rows in writer.todo])
    for rows, (images, numbers, labels) in zip(writer.todo, read, strict=True):
        known = (numbers.numpy(), labels.numpy(), loader.contents)
        for number, (_, pilot, shifts, columns, _) in enumerate(members):
            sent = None
            if rows in todo[number]:
                with run.clock.phase("network", wait=False):
                    if len(members) > 1:
                        weights.put(number)
                    reading = taps.read(
                        network, pilot.taps, images, run.config.extract, pilot.blocks, map_tap
                    )
                    sent = extracted.send(run, reading, shifts, known[0], columns)
            yield Passed(rows, number, sent, *known)


def _layout(run: Run, pilot: Pilot, keep_map: bool) -> Layout:
    """Return what the activations file of a checkpoint holds."""
    positions, channels = pilot.map_shape
    positions = kept_positions(run.config, run.subject.ids[:1], positions).shape[1]
    of_branches = {f"{name}.{branch}" for name in pilot.blocks for branch in branches.BRANCHES}
    return Layout(
        {name: shift for name, shift in pilot.shifts.items() if name not in of_branches},
        {name: shift for name, shift in pilot.shifts.items() if name in of_branches},
        run.config.extract.pooling,
        run.config.extract.dtype,
        pilot.outputs,
        run.subject.images.classes,
        (positions, channels) if keep_map else None,
        pilot.head,
        run.config.dictionary.tap,
    )
