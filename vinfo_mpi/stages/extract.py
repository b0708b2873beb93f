"""Run every checkpoint over the images and store what its taps show, in one file per checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vinfo_mpi import units
from vinfo_mpi.config.schema import Config
from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.sizes import Sizes
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.networks import precision
from vinfo_mpi.networks.positions import PILOT
from vinfo_mpi.parallel import prefetch
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import evenly
from vinfo_mpi.run import freshness
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.stages.extract_group import extract_group
from vinfo_mpi.stages.extracted_checks import say_what_stands_out
from vinfo_mpi.storage import row_writer
from vinfo_mpi.storage.activations import Layout
from vinfo_mpi.storage.rows import batch_rows, row_bytes


def extract_activations(run: Run, part: Part) -> None:
    """Bring the activations of every checkpoint up to date."""
    ids = run.subject.ids
    stale = run.ranks.on_root(freshness.stale_activations, run)
    log.info(
        "extract: %s; %s to do, %d up to date",
        units.counted(len(ids), "image"),
        units.counted(len(stale), "checkpoint"),
        len(run.checkpoints) - len(stale),
    )
    with run.ranks.together():
        precision.check(run.config.extract.precision, run.device, "extract.precision")
    run.subject.say_input()
    network = run.subject.network()
    together = run.config.machine.checkpoints or run.together
    with run.bar("extract: images", len(stale) * len(run.ranks.block(len(ids)))) as bar:
        for group in evenly(stale, together):
            run.safe_point()
            extract_group(run, part, network, group, bar)
    if stale:
        run.ranks.on_root(say_what_stands_out, run)


def costs(work: Workload) -> Costs:
    """Return what extraction takes."""
    sizes = work.sizes
    columns = planned_layout(sizes, work.config).columns()
    images = min(batch_rows(columns, work.sizes.batch), work.images_of_rank)
    row = row_bytes(columns)
    queue = (row_writer.AHEAD + 2) * images * row  # waiting, being written, being made
    in_flight = formulas.images_in_flight(work, images, prefetch.AHEAD)
    pilot = formulas.images_of_network(work, min(PILOT, sizes.n))
    held = work.together * sizes.weights if work.together > 1 else 0
    files = work.together * formulas.OPEN * len(columns)
    network = 2 * sizes.weights + held + sizes.forward + max(in_flight, pilot)
    return Costs(
        memory=network + queue + files if work.device == "cpu" else network,
        host=sizes.weights + in_flight + queue + files,
        operations=float(sizes.operations * (sizes.n + min(PILOT, sizes.n)) * sizes.checkpoints),
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
