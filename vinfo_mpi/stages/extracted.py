"""The columns of an activations file, from one batch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import readout
from vinfo_mpi.networks.positions import kept_positions
from vinfo_mpi.networks.taps import Reading
from vinfo_mpi.parallel.transfer import Arriving
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import CONTENT, MAP
from vinfo_mpi.storage.rows import Column


def send(
    run: Run,
    reading: Reading,
    shifts: Mapping[str, torch.Tensor],
    ids: np.ndarray,
    columns: Mapping[str, Column],
) -> Arriving:
    """Return what the network showed of one batch, on its way to the columns."""
    stored = getattr(torch, run.config.extract.dtype)
    values = {"samples/prediction": readout.predictions(reading.outputs, run.config.network)}
    for name, pooled in (reading.pooled | reading.branches).items():
        values[f"taps/{name}/activations"] = (pooled - shifts[name]).to(stored)
    for name, share in reading.nonzero.items():
        values[f"taps/{name}/nonzero"] = share
    if MAP in columns:
        vectors = reading.map
        if columns[MAP].shape[0] < vectors.shape[1]:
            positions = kept_positions(run.config, ids, vectors.shape[1])
            # A copy that is waited for would wait for the network.
            indices = torch.from_numpy(positions).to(vectors.device, non_blocking=True)
            vectors = torch.take_along_dim(vectors, indices[:, :, None], 1)
        values[MAP] = vectors.to(stored)
    # Last: the first tap that is not finite is the one to name.
    values["outputs"] = reading.outputs.float()
    return Arriving(values)


def values(
    run: Run,
    checkpoint: str,
    sent: Arriving,
    ids: np.ndarray,
    labels: np.ndarray,
    contents: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return a checkpoint's batch of every column; raise `InputError` for what is not finite."""
    arrays, not_finite = sent.arrays()
    for name in not_finite:
        finite = np.isfinite(arrays[name].reshape(len(ids), -1)).all(1)
        half = run.config.extract.dtype == "float16"  # from which they may come
        remedy = ", or store extract.dtype: float32" if half else ""
        raise InputError(
            f"/{name}: the activations of sample {ids[~finite][0]} hold NaN or infinity "
            f"at {checkpoint}; check the weights and data.mean/std{remedy}"
        )
    held_out = run.subject.images.test[ids].astype(np.uint8)
    samples = {
        "samples/id": ids,
        "samples/label": labels,
        "samples/held_out": held_out,
        CONTENT: contents,
    }
    return samples | arrays
