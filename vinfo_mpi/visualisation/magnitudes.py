"""The mean magnitude spectrum of a run's images, estimated once by all ranks: magnitudes.h5."""

from __future__ import annotations

from dataclasses import asdict

import torch
from torch.nn import functional

from vinfo_mpi.numerics.arrays import evenly_spaced
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.run.provenance import digest
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage import hdf5
from vinfo_mpi.storage.hdf5 import Table
from vinfo_mpi.visualisation.colours import to_opponent

FILETYPE = "vinfo-magnitudes"
DESCRIPTION = (
    "mean magnitude of the images' waves, of the constant with its sign: "
    "brightness, red - blue, green - magenta"
)


def mean_magnitudes(run: Run, size: int) -> torch.Tensor:
    """Return the mean |FFT| of the opponent channels, with the signs of their means.

    The images are those analysed, or visualise.images of them, as the network sees them, with
    values in [0, 1].

    Returns
    -------
    (3, size, size) float32 tensor
    """
    path = run.folder / "magnitudes.h5"
    key = _key(run, size)
    if run.ranks.on_root(hdf5.fingerprint, path, FILETYPE) != key:
        magnitudes = _estimate(run, size).cpu().numpy()
        axes = ("channel", "frequency_y", "frequency_x")
        tables = {"magnitudes": Table(magnitudes, DESCRIPTION, axes=axes)}
        run.ranks.on_root(hdf5.write_tables, path, tables, run.provenance(FILETYPE, key, {}))
    stored = run.ranks.on_root(hdf5.read_table, path, FILETYPE, "magnitudes")
    return torch.from_numpy(stored).to(run.device)


def _key(run: Run, size: int) -> str:
    """Return the fingerprint of what the spectrum depends on."""
    return digest(
        "magnitudes with signs of means",
        run.config.seed,
        run.config.data.model_dump(mode="json", exclude={"on_bad_image"}),
        asdict(run.subject.preprocessing),
        run.config.visualise.images,
        size,
    )


def _estimate(run: Run, size: int) -> torch.Tensor:
    """Return the mean over the images, from the work of all ranks: (3, size, size) float32."""
    subject = run.subject
    ids = subject.ids[evenly_spaced(len(subject.ids), run.config.visualise.images)]
    log.info("visualise: magnitude spectrum of %d images", len(ids))
    blocks = batches(run.ranks.block(len(ids)), run.batch)
    ids_of_rank = [ids[block.start : block.stop] for block in blocks]
    total = torch.zeros(3, size, size, dtype=torch.float64, device=run.device)
    for inputs, _, _ in subject.loader.batches(ids_of_rank):
        images = subject.preprocessing.denormalise(inputs).double()
        images = functional.interpolate(images, (size, size), mode="bilinear", antialias=True)
        waves = torch.fft.fft2(to_opponent(images))
        magnitudes = waves.abs()
        # The mean of an opponent channel has a sign: its hue.
        magnitudes[..., 0, 0] = waves[..., 0, 0].real
        total += magnitudes.sum(0)
    # To float32: sums of another order, on other ranks, come out the same.
    return (run.ranks.sum(total) / len(ids)).float()
