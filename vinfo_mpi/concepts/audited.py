"""Factors of the analysed images, read as codes are: what is known of them, what pictures show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.numerics import image_statistics
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader
from vinfo_mpi.storage.partial_results import PartialResults

GIVEN = "given"
PICTURE = "picture"


@dataclass(frozen=True)
class Audited:
    """Factors in rows, as a file of codes gives them.

    Attributes
    ----------
    path : Path
        Of the activations of the same images.
    ids : (N,) int64 array
    names, kinds : list of str
        Of the factors; whether they are given, or measured on the pictures.
    values : (N, F) float64 array
        With mean 0 and variance 1.
    """

    path: Path
    ids: np.ndarray
    names: list[str]
    kinds: list[str]
    values: np.ndarray

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of the codes or ids."""
        return self._stored(name).shape

    def read(self, name: str, rows: range | None = None) -> np.ndarray:
        """Return some rows of the codes or ids."""
        stored = self._stored(name)
        return stored if rows is None else stored[rows.start : rows.stop]

    def _stored(self, name: str) -> np.ndarray:
        return {"codes": self.values, "samples/id": self.ids}[name]


def factors(run: Run, activations: ActivationReader, partial_results: PartialResults) -> Audited:
    """Return the factors of the analysed images that vary; all ranks together.

    Raises
    ------
    NotApplicable
        If there are none.
    """
    ids = activations.read("samples/id")
    columns = {(GIVEN, name): values[ids] for name, values in run.subject.images.factors.items()}
    if run.config.audit.pictures and run.subject.has_images:
        measured = partial_results.get("pictures", lambda: _of_pictures(run, ids))["values"]
        columns |= {
            (PICTURE, f"picture: {name}"): measured[:, number]
            for number, name in enumerate(image_statistics.NAMES)
        }
    taken = {key: values for key, values in columns.items() if _varies(key[1], values)}
    if not taken:
        raise NotApplicable(
            "audit needs factors of the images: further columns of data.table, those of a data "
            "set of yours, or images, with audit.pictures: true"
        )
    values = np.stack(list(taken.values()), axis=1)
    return Audited(
        activations.path,
        ids,
        [name for _, name in taken],
        [kind for kind, _ in taken],
        (values - values.mean(0)) / values.std(0),
    )


def _varies(name: str, values: np.ndarray) -> bool:
    """Whether a factor is known of all images and not the same for all; say it where it is not."""
    missing = np.isnan(values).sum()
    if missing:
        log.info("audit: '%s' is left out: %d images have no value of it", name, missing)
        return False
    if np.ptp(values) <= 1e-9 * np.abs(values).max():
        log.info("audit: '%s' is left out: it is the same for all images", name)
        return False
    return True


def _of_pictures(run: Run, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Return the statistics of all pictures as the network sees them: values, (N, S)."""
    rows = run.ranks.block(len(ids))
    parts = [ids[block.start : block.stop] for block in batches(rows, run.batch)]
    measured = [np.empty((0, len(image_statistics.NAMES)))]
    with run.bar("audit: images", len(rows)) as bar:
        for inputs, _, _ in run.subject.loader.batches(parts):
            pictures = run.subject.preprocessing.shown(inputs)
            measured.append(image_statistics.statistics(pictures).cpu().numpy())
            bar.update(len(inputs))
    return {"values": run.ranks.concatenate(np.concatenate(measured))}
