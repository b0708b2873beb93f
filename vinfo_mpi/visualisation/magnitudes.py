"""The mean magnitude spectrum of a run's own images, estimated once by all ranks together: magnitudes.h5."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import torch
from torch.nn import functional

from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.run.provenance import digest
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage import hdf5
from vinfo_mpi.storage.hdf5 import Table
from vinfo_mpi.visualisation.colours import to_opponent

FILETYPE = "vinfo-magnitudes"


def of(run: Run, size: int) -> torch.Tensor:
    """Return the mean |FFT| of the opponent channels, with the signs of their means: (3, size, size) float32 tensor.

    The images are those analysed, or visualise.images of them, as the network sees them, with values in [0, 1].
    """
    path, options = run.folder / "magnitudes.h5", run.config.visualise
    data = run.config.data.model_dump(mode="json", exclude={"on_bad_image"})
    key = digest("magnitudes with signs of means", run.config.seed, data, asdict(run.subject.preprocessing), options.images, size)
    if run.ranks.on_root(hdf5.fingerprint, path, FILETYPE) != key:
        mean = _mean(run, size)
        about = "mean magnitude of the images' waves, of the constant with its sign: brightness, red - blue, green - magenta"
        table = Table(mean.cpu().numpy(), about, axes=("channel", "frequency_y", "frequency_x"))
        run.ranks.on_root(hdf5.write_tables, path, {"magnitudes": table}, run.provenance(FILETYPE, key, {}))
    return torch.from_numpy(run.ranks.on_root(hdf5.read_table, path, FILETYPE, "magnitudes")).to(run.device)


def _mean(run: Run, size: int) -> torch.Tensor:
    ids = run.subject.ids
    ids = ids[np.unique(np.linspace(0, len(ids) - 1, min(run.config.visualise.images, len(ids))).astype(int))]
    log.info("visualise: magnitude spectrum of %d images", len(ids))
    total = torch.zeros(3, size, size, dtype=torch.float64, device=run.device)
    mine = [ids[rows.start : rows.stop] for rows in batches(run.ranks.block(len(ids)), run.config.machine.batch)]
    for images, _, _ in run.subject.loader.batches(mine):
        shown = functional.interpolate(
            run.subject.preprocessing.shown(images).double(), (size, size), mode="bilinear", antialias=True
        )
        waves = torch.fft.fft2(to_opponent(shown))
        found = waves.abs()
        found[..., 0, 0] = waves[..., 0, 0].real  # the mean of an opponent channel has a sign: its hue
        total += found.sum(0)
    # To float32: sums of another order, on other ranks, come out the same.
    return (run.ranks.sum(total) / len(ids)).float()
