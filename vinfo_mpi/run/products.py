"""Products of stages: how each is known, whether it is up to date, and how it is discarded.

A product is known to what is made from it by a name and a fingerprint; see `Product`.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.results import store
from vinfo_mpi.storage import folders, hdf5, rows

if TYPE_CHECKING:
    from vinfo_mpi.run.run import Run

Fingerprints = dict[str, str | None]  # by the name of a file; None: it is not there


class Product(Protocol):
    """A product of a stage."""

    @property
    def filetype(self) -> str:
        """The type that its file names."""

    def fingerprints(self, run: Run, checkpoint: Checkpoint) -> Fingerprints:
        """Return what its files carry, those of a checkpoint where it has several."""

    def attributes(self, run: Run, checkpoint: Checkpoint) -> dict[str, Any]:
        """Return what it says of where it comes from, nothing where it is not there, whole."""

    def made_of(self, run: Run) -> list[Path]:
        """Return the files and folders that hold it, finished as it is."""

    def discard(self, run: Run) -> None:
        """Delete it, finished or not, on one rank; what can only be replaced whole may stay."""


@dataclass(frozen=True)
class Checkpoints:
    """The weights of the network: after training, or the user's own."""

    filetype: str = "checkpoint"

    def fingerprints(self, run: Run, checkpoint: Checkpoint) -> Fingerprints:
        """Return that of one checkpoint. See `Product`."""
        return {f"checkpoints/{checkpoint.name}": checkpoint.fingerprint()}

    def attributes(self, run: Run, checkpoint: Checkpoint) -> dict[str, Any]:
        """Return nothing: config.yaml says what they were trained with. See `Product`."""
        return {}

    def made_of(self, run: Run) -> list[Path]:
        """Return nothing: none is ever replaced unasked. See `Product`."""
        return []

    def discard(self, run: Run) -> None:
        """Keep them: training deletes them, once it has looked at its settings. See `Product`."""


@dataclass(frozen=True)
class Activations:
    """Activations of the images: at one checkpoint, or at all of them."""

    every_checkpoint: bool
    filetype: str = "vinfo-activations"

    def fingerprints(self, run: Run, checkpoint: Checkpoint) -> Fingerprints:
        """Return those of one checkpoint, or of all. See `Product`."""
        checkpoints = run.checkpoints if self.every_checkpoint else [checkpoint]
        return {
            f"activations/{each.name}": rows.fingerprint(run.activations(each), self.filetype)
            for each in checkpoints
        }

    def attributes(self, run: Run, checkpoint: Checkpoint) -> dict[str, Any]:
        """Return those of a checkpoint's file. See `Product`."""
        return hdf5.attributes(run.activations(checkpoint), self.filetype)

    def made_of(self, run: Run) -> list[Path]:
        """Return the files of all checkpoints. See `Product`."""
        return [path for each in run.checkpoints for path in rows.made_of(run.activations(each))]

    def discard(self, run: Run) -> None:
        """Delete the activations of all checkpoints. See `Product`."""
        for checkpoint in run.checkpoints:
            rows.remove(run.activations(checkpoint))


@dataclass(frozen=True)
class File:
    """A file that one rank writes; `unfinished`: the file of rows that goes before it, if any."""

    name: str
    filetype: str
    unfinished: str | None = None

    def fingerprints(self, run: Run, checkpoint: Checkpoint) -> Fingerprints:
        """Return the file's. See `Product`."""
        return {self.name: hdf5.fingerprint(self.path(run), self.filetype)}

    def attributes(self, run: Run, checkpoint: Checkpoint) -> dict[str, Any]:
        """Return the file's. See `Product`."""
        return hdf5.attributes(self.path(run), self.filetype)

    def made_of(self, run: Run) -> list[Path]:
        """Return the file. See `Product`."""
        return rows.made_of(self.path(run))

    def discard(self, run: Run) -> None:
        """Delete the file, and what was to become it. See `Product`."""
        self.path(run).unlink(missing_ok=True)
        if self.unfinished is not None:
            rows.remove(run.outputs / f"{self.unfinished}.h5")

    def path(self, run: Run) -> Path:
        """Return where it lies."""
        return run.outputs / f"{self.name}.h5"


@dataclass(frozen=True)
class RowFile(File):
    """A file of rows, one per image, that all ranks write."""

    def fingerprints(self, run: Run, checkpoint: Checkpoint) -> Fingerprints:
        """Return the file's, if all of its parts are there. See `Product`."""
        return {self.name: rows.fingerprint(self.path(run), self.filetype)}

    def discard(self, run: Run) -> None:
        """Delete the file with its parts. See `Product`."""
        rows.remove(self.path(run))


@dataclass(frozen=True)
class Folder:
    """A folder of many files."""

    name: str
    filetype: str

    def fingerprints(self, run: Run, checkpoint: Checkpoint) -> Fingerprints:
        """Return the folder's. See `Product`."""
        return {self.name: folders.fingerprint(run.outputs / self.name)}

    def attributes(self, run: Run, checkpoint: Checkpoint) -> dict[str, Any]:
        """Return the folder's. See `Product`."""
        return folders.attributes(run.outputs / self.name)

    def made_of(self, run: Run) -> list[Path]:
        """Return the folder. See `Product`."""
        path = run.outputs / self.name
        return [path] if folders.fingerprint(path) else []

    def discard(self, run: Run) -> None:
        """Delete what is unfinished: the folder stays until it is replaced. See `Product`."""
        folders.discard_unfinished(run.outputs / self.name)


@dataclass(frozen=True)
class ResultsPart:
    """A stage's part of results.h5, and the folder of what it has made beside that."""

    stage: str
    beside: str | None = None
    filetype: str = "vinfo-results"

    def fingerprints(self, run: Run, checkpoint: Checkpoint) -> Fingerprints:
        """Return the part's. See `Product`."""
        return {self.stage: store.fingerprint(run.results, self.stage)}

    def attributes(self, run: Run, checkpoint: Checkpoint) -> dict[str, Any]:
        """Return the part's. See `Product`."""
        return store.attributes(run.results, self.stage)

    def made_of(self, run: Run) -> list[Path]:
        """Return the file that holds it, with all parts. See `Product`."""
        return [run.results] if store.fingerprint(run.results, self.stage) else []

    def discard(self, run: Run) -> None:
        """Delete what lies beside it: the part stays until it is replaced. See `Product`."""
        if self.beside is not None:
            shutil.rmtree(run.folder / self.beside, ignore_errors=True)


PRODUCTS: dict[str, Product] = {
    "checkpoint": Checkpoints(),
    "activations": Activations(every_checkpoint=False),
    "all activations": Activations(every_checkpoint=True),
    "dictionary": File("dictionary", "vinfo-dictionary", unfinished="dictionary.fit"),
    "codes": RowFile("codes", "vinfo-codes"),
    "visualisation": File("visualisation", "vinfo-visualisation"),
    "report": Folder("report", "vinfo-report"),
    "stability": ResultsPart("stability", beside="stability"),
    "autoencoder": ResultsPart("autoencoder", beside="autoencoder"),
    "sedimentation": ResultsPart("sedimentation", beside="sedimentation"),
    "merging": ResultsPart("merging", beside="merging"),
}


def product(name: str) -> Product:
    """Return the product of a name, by default the part of results.h5 of the stage of this name."""
    return PRODUCTS.get(name, ResultsPart(name))
