"""Run every checkpoint over the images and store what its taps show, in one file per checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import branches, heads, taps
from vinfo_mpi.networks.branches import Block
from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.networks.positions import PILOT, kept_positions
from vinfo_mpi.networks.taps import Reading
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.run import freshness
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import MAP, Layout
from vinfo_mpi.storage.rows import Column, batch_rows, remove


@dataclass
class Pilot:
    """What a few images tell beforehand: taps in forward order, residual blocks among them, mean activations, the head."""

    taps: list[str]
    blocks: dict[str, Block]
    shifts: dict[str, np.ndarray]
    map_shape: tuple[int, int]
    outputs: int
    head: tuple[np.ndarray, np.ndarray] | None


def run(run: Run, force: bool = False) -> None:
    """Bring the activations of every checkpoint up to date."""
    if force:
        for one in run.checkpoints:
            run.ranks.on_root(remove, run.activations(one))
    stale = run.ranks.on_root(freshness.stale_activations, run)
    log.info("extract: %d images; %d checkpoints to do, %d up to date",
             len(run.subject.ids), len(stale), len(run.checkpoints) - len(stale))  # fmt: skip
    network = run.subject.network()
    with run.bar("extract: images", len(stale) * len(run.ranks.block(len(run.subject.ids)))) as bar:
        for checkpoint in stale:
            run.safe_point()
            checkpoint.load_into(network)
            extract(run, network, checkpoint, bar)


@torch.inference_mode()
def extract(run: Run, network: torch.nn.Module, checkpoint: Checkpoint, bar: tqdm) -> None:
    """Write the activations of one checkpoint; each rank reads its own images and writes its own rows.

    The network holds the checkpoint's weights. Branches are kept for the network that is analysed, maps where they are
    wanted.
    """
    ids, ranks = run.subject.ids, run.ranks
    with run.clock.phase("pilot"):
        pilot = ranks.on_root(look_ahead, run, network, checkpoint == run.final and run.config.extract.branches)
        shifts = {name: torch.from_numpy(shift).to(run.device) for name, shift in pilot.shifts.items()}
    layout = _layout(run, pilot, run.keeps_map(checkpoint))
    columns = layout.columns()
    size = batch_rows(columns, run.config.machine.batch)
    attributes = freshness.provenance(run, "extract", "vinfo-activations", checkpoint) | {"epoch": checkpoint.epoch}
    writer = run.writer(run.activations(checkpoint), columns, len(ids), size, attributes, layout.tables(), resume=True)

    with writer:
        if writer.reused:
            log.info("extract: %s: %d images reused, %d to do", checkpoint.name, writer.reused, len(ids) - writer.reused)
        bar.update(len(ranks.block(len(ids))) - sum(map(len, writer.todo)))
        read = run.subject.loader.batches([ids[rows.start : rows.stop] for rows in writer.todo])
        for rows, (images, numbers, labels) in zip(writer.todo, read, strict=True):
            with run.clock.phase("network"):
                reading = taps.read(network, pilot.taps, images, run.config.extract, pilot.blocks)
                values = _values(run, reading, shifts, numbers, labels, columns)
            with run.clock.phase("write"):
                writer.write(rows.start, values)
            bar.update(len(rows))
    run.clock.bytes_written += writer.bytes_written


def look_ahead(run: Run, network: torch.nn.Module, with_branches: bool) -> Pilot:
    """Find taps, branches, mean activations, shapes and the head on images spread evenly over those analysed."""
    chosen = run.subject.ids[np.unique(np.linspace(0, len(run.subject.ids) - 1, min(PILOT, len(run.subject.ids))).astype(int))]
    size = run.config.machine.batch
    vectors: list[dict[str, torch.Tensor]] = []
    means, outputs = [], []
    for images, _, _ in run.subject.loader.batches([chosen[start : start + size] for start in range(0, len(chosen), size)]):
        if not vectors:
            names = taps.find(network, run.config.extract, images[:1])
            # One image has thousands of positions to test the claim on, and all outputs of all blocks are held at once.
            blocks = branches.find(network, names, images[:1]) if with_branches else {}
        reading = taps.read(network, names, images, run.config.extract, blocks)
        vectors.append(reading.pooled | reading.branches)
        means.append(reading.map.mean(1))  # maps of all images would take more than a batch does
        outputs.append(reading.outputs)
    head = heads.linear(network, torch.cat(means), torch.cat(outputs))
    # NaN counts as 0 here: one bad image must not spoil what is subtracted from all others.
    shifts = {
        name: torch.cat([values[name] for values in vectors]).double().nan_to_num(0, 0, 0).mean(0).float().cpu().numpy()
        for name in vectors[0]
    }
    return Pilot(
        names,
        blocks,
        shifts,
        (reading.map.shape[1], reading.map.shape[2]),
        reading.outputs.shape[1],
        None if head is None else (head[0].cpu().numpy(), head[1].cpu().numpy()),
    )


def _values(
    run: Run,
    reading: Reading,
    shifts: dict[str, torch.Tensor],
    ids: torch.Tensor,
    labels: torch.Tensor,
    columns: dict[str, Column],
) -> dict[str, np.ndarray]:
    """Return one batch of every column; raise `InputError` for values that are not finite."""
    numbers = ids.numpy()
    stored = getattr(torch, run.config.extract.dtype)
    values = {
        "samples/id": numbers,
        "samples/label": labels.numpy(),
        "samples/prediction": reading.outputs.argmax(1).cpu().numpy(),
        "samples/held_out": run.subject.images.test[numbers].astype(np.uint8),
    }
    for name, pooled in (reading.pooled | reading.branches).items():
        values[f"taps/{name}/activations"] = (pooled - shifts[name]).to(stored).cpu().numpy()
    for name, share in reading.nonzero.items():
        values[f"taps/{name}/nonzero"] = share.cpu().numpy()
    if MAP in columns:
        chosen = reading.map
        if columns[MAP].shape[0] < chosen.shape[1]:
            kept = torch.from_numpy(kept_positions(run, numbers, chosen.shape[1])).to(chosen.device)
            chosen = torch.take_along_dim(chosen, kept[:, :, None], 1)
        values[MAP] = chosen.to(stored).cpu().numpy()
    values["outputs"] = reading.outputs.float().cpu().numpy()  # last: the first tap that is not finite is the one to name
    for name, block_values in values.items():
        if block_values.dtype.kind == "f" and not np.isfinite(block_values).all():
            sample = numbers[~np.isfinite(block_values.reshape(len(block_values), -1)).all(1)][0]
            raise InputError(
                f"/{name}: the activations of sample {sample} hold NaN or infinity; check the weights and data.mean/std"
                + (", or store extract.dtype: float32" if stored == torch.float16 else "")
            )
    return values


def _layout(run: Run, pilot: Pilot, keep_map: bool) -> Layout:
    kept = kept_positions(run, run.subject.ids[:1], pilot.map_shape[0]).shape[1]
    return Layout(
        {name: pilot.shifts[name] for name in pilot.taps},
        {name: shift for name, shift in pilot.shifts.items() if name not in pilot.taps},
        run.config.extract.pooling,
        run.config.extract.dtype,
        pilot.outputs,
        run.subject.images.classes,
        (kept, pilot.map_shape[1]) if keep_map else None,
        pilot.head,
    )
