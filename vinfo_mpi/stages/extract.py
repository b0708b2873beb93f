"""Run every checkpoint over the images and store what its taps show, in one file per checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from vinfo_mpi.config.schema import Config
from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.sizes import Sizes
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.networks import branches, taps, tokens
from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.networks.positions import kept_positions
from vinfo_mpi.parallel import prefetch, transfer
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.transfer import Arriving
from vinfo_mpi.run import freshness
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.stages import extracted
from vinfo_mpi.stages.extracted_checks import say_what_stands_out
from vinfo_mpi.stages.pilot import Pilot, look_ahead
from vinfo_mpi.storage import row_writer
from vinfo_mpi.storage.activations import Layout
from vinfo_mpi.storage.rows import batch_rows


def extract_activations(run: Run, part: Part) -> None:
    """Bring the activations of every checkpoint up to date."""
    ids = run.subject.ids
    stale = run.ranks.on_root(freshness.stale_activations, run)
    log.info(
        "extract: %d images; %d checkpoints to do, %d up to date",
        len(ids),
        len(stale),
        len(run.checkpoints) - len(stale),
    )
    run.subject.say_input()
    network = run.subject.network()
    with run.bar("extract: images", len(stale) * len(run.ranks.block(len(ids)))) as bar:
        for checkpoint in stale:
            run.safe_point()
            checkpoint.load_into(network)
            run.ranks.on_root(run.subject.check_images_alone, network)
            _extract(run, part, network, checkpoint, bar)
    if stale:
        run.ranks.on_root(say_what_stands_out, run)


def costs(work: Workload) -> Costs:
    """Return what extraction takes."""
    sizes = work.sizes
    columns = planned_layout(sizes, work.config).columns()
    images = min(batch_rows(columns, work.config.machine.batch), work.images_of_rank)
    row = sum(column.row_bytes for column in columns.values())
    queue = (row_writer.AHEAD + 2) * images * row  # waiting, being written, being made
    in_flight = formulas.images_in_flight(work, images, prefetch.AHEAD)
    network = 2 * sizes.weights + sizes.forward + in_flight
    return Costs(
        memory=network + queue if work.device == "cpu" else network,
        host=sizes.weights + in_flight + queue,
        operations=float(sizes.operations * sizes.n * sizes.checkpoints),
        disk={"activations": _disk(work)},
    )


def _disk(work: Workload) -> float:
    """Return the bytes of the files of all checkpoints."""
    sizes = work.sizes
    widths = sizes.widths.values()
    tables = len(widths) + 1 + 2 * sizes.linear

    def rows(keep_map: bool, final: bool) -> float:
        layout = planned_layout(sizes, work.config, keep_map, final)
        return formulas.row_file(work, layout.columns(), tables)

    shifts_of_branches = 4 * sum(sizes.branches.values()) + formulas.DATASET * len(sizes.branches)
    final = rows(keep_map=True, final=True) + shifts_of_branches
    with_map = (sizes.maps - 1) * rows(keep_map=True, final=False)
    without_map = (sizes.checkpoints - sizes.maps) * rows(keep_map=False, final=False)
    head = 4 * sizes.outputs * (sizes.d + 1) if sizes.linear else 0
    shifts_and_heads = sizes.checkpoints * (4 * sum(widths) + head)
    return final + with_map + without_map + shifts_and_heads


def planned_layout(
    sizes: Sizes, config: Config, keep_map: bool = True, final: bool = True
) -> Layout:
    """Return what the activations file of a checkpoint will hold, shifts and head being blank.

    Parameters
    ----------
    sizes : Sizes
    config : Config
    keep_map : bool
        Whether its map is kept.
    final : bool
        Whether it is the network that is analysed, whose branches are kept.
    """
    return Layout(
        _blank(sizes.widths),
        _blank(sizes.branches) if final else {},
        config.extract.pooling,
        config.extract.dtype,
        sizes.outputs,
        sizes.classes,
        (sizes.positions, sizes.d) if keep_map else None,
        None,
    )


def _blank(widths: Mapping[str, int]) -> dict[str, np.ndarray]:
    return {name: np.empty(width, np.float32) for name, width in widths.items()}


@torch.inference_mode()
def _extract(run: Run, part: Part, network: nn.Module, checkpoint: Checkpoint, bar: tqdm) -> None:
    """Write the activations of one checkpoint, whose weights the network holds.

    Each rank reads its own images and writes its own rows. Branches are kept for the network that
    is analysed, maps where they are asked for.
    """
    ids = run.subject.ids
    keep_branches = checkpoint == run.final and run.config.extract.branches
    with run.clock.phase("pilot"):
        pilot = run.ranks.on_root(look_ahead, run, network, keep_branches)
        shifts = {
            name: torch.from_numpy(shift).to(run.device) for name, shift in pilot.shifts.items()
        }
    if checkpoint == run.final and (sentence := tokens.sentence(pilot.taps)) is not None:
        log.info("extract: %s", sentence)
    layout = _layout(run, pilot, run.keeps_map(checkpoint))
    columns = layout.columns()
    writer = run.writer(
        run.activations(checkpoint),
        columns,
        len(ids),
        batch_rows(columns, run.config.machine.batch),
        part.provenance_of(checkpoint) | {"epoch": checkpoint.epoch},
        layout.tables(),
        resume=True,
    )
    with writer:
        if writer.reused:
            left = len(ids) - writer.reused
            log.info(
                "extract: %s: %d images reused, %d to do", checkpoint.name, writer.reused, left
            )
        bar.update(len(run.ranks.block(len(ids))) - sum(map(len, writer.todo)))
        read = run.subject.loader.batches([ids[rows.start : rows.stop] for rows in writer.todo])
        options = run.config.extract

        def passes() -> Iterator[tuple[Arriving, np.ndarray, np.ndarray, np.ndarray]]:
            for images, numbers, labels in read:
                with run.clock.phase("network", wait=False):
                    reading = taps.read(network, pilot.taps, images, options, pilot.blocks)
                    sent = extracted.send(run, reading, shifts, numbers.numpy(), columns)
                yield sent, numbers.numpy(), labels.numpy(), run.subject.loader.contents

        under_way = transfer.one_ahead(passes(), run.device)
        for rows, (sent, *known) in zip(writer.todo, under_way, strict=True):
            with run.clock.phase("network", wait=False):
                values = extracted.values(run, sent, *known)
            with run.clock.phase("write", wait=False):
                writer.write(rows.start, values)
            bar.update(len(rows))


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
    )
