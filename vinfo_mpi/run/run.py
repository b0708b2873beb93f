"""One run: its configuration, its folder, its ranks, and what the stages share."""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import numpy as np
import torch
from tqdm import tqdm

from vinfo_mpi.config.schema import Config
from vinfo_mpi.errors import Stopped
from vinfo_mpi.networks import checkpoints, footprint, heads
from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.parallel import limits, memory, signals
from vinfo_mpi.parallel.clock import Clock
from vinfo_mpi.parallel.devices import Binding
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.run.provenance import of_program, this_process, timings_of
from vinfo_mpi.storage import lock
from vinfo_mpi.storage.activations import SCALES, ActivationReader
from vinfo_mpi.storage.atomic import write_text
from vinfo_mpi.storage.codes import CodesReader
from vinfo_mpi.storage.hdf5 import FORMAT_VERSIONS, Table
from vinfo_mpi.storage.partial_results import PartialResults
from vinfo_mpi.storage.row_file import RowFile
from vinfo_mpi.storage.row_writer import RowWriter
from vinfo_mpi.storage.rows import Column, storage_kind

if TYPE_CHECKING:
    from vinfo_mpi.run.subject import Subject

T = TypeVar("T")
STOP = 2  # what a rank that is asked to stop says at a safe point; 1: it is time to save


class Run:
    """The run that every stage is given.

    Attributes
    ----------
    config : Config
    folder : Path
        Where everything of this run lies: runs/<name>.
    outputs : Path
        Where dictionary, codes and results lie: there, or in a folder of one checkpoint.
    ranks : Ranks
    device : torch.device
        Where this rank computes.
    bindings : list of Binding
        Where every rank computes.
    clock : Clock
        Of the stage that is running.
    batch, together, room
        Images per forward pass of this rank, checkpoints that are extracted together, bytes for
        sums of taps: what the plan says, see `Sizes` and `Workload`.
    """

    def __init__(
        self,
        config: Config,
        folder: Path,
        ranks: Ranks,
        device: torch.device,
        bindings: list[Binding],
        command: str,
    ) -> None:
        self.config = config
        self.folder = folder
        self.outputs = folder
        self.ranks = ranks
        self.device = device
        self.bindings = bindings
        self.command = command
        self.batch = config.machine.batch or footprint.MOST
        self.together = 1
        self.room: float | None = None
        self.begin()
        self._lock: TextIO | None = None

    # --- where things are ---

    @cached_property
    def checkpoints(self) -> list[Checkpoint]:
        """The checkpoints, in order; the last one is the network that is analysed."""
        config = self.config
        return checkpoints.expected(self.folder / "checkpoints", config.network, config.train)

    @property
    def final(self) -> Checkpoint:
        """The network that is analysed."""
        return self.checkpoints[-1]

    def activations(self, checkpoint: Checkpoint) -> Path:
        """Return the activations file of a checkpoint."""
        return self.folder / "activations" / f"{checkpoint.name}.h5"

    @property
    def dictionary(self) -> Path:
        """The dictionary file."""
        return self.outputs / "dictionary.h5"

    @property
    def codes(self) -> Path:
        """The codes file."""
        return self.outputs / "codes.h5"

    @property
    def results(self) -> Path:
        """The results file."""
        return self.outputs / "results.h5"

    @property
    def visualisation(self) -> Path:
        """The file of pictures of concepts."""
        return self.outputs / "visualisation.h5"

    @property
    def report(self) -> Path:
        """The folder of the pages."""
        return self.outputs / "report"

    def at(self, checkpoint: Checkpoint) -> Run:
        """Return this run as if the checkpoint were analysed, with a dictionary, ... of its own."""
        view = copy.copy(self)
        view.checkpoints = [checkpoint]
        if checkpoint != self.final:
            view.outputs = self.folder / "sedimentation" / checkpoint.name
        return view

    def keeps_map(self, checkpoint: Checkpoint) -> bool:
        """Whether the last tap of this checkpoint is also stored unpooled, for a dictionary."""
        maps = self.config.extract.maps
        asked = maps == "all" or (maps != "final" and checkpoint.epoch in maps)
        return asked or checkpoint == self.final

    def open_activations(self, checkpoint: Checkpoint) -> ActivationReader:
        """Open the activations of a checkpoint."""
        return ActivationReader(self.activations(checkpoint), self._count_read)

    @contextmanager
    def open_all_activations(self) -> Iterator[dict[str, ActivationReader]]:
        """Open the activations of all checkpoints, by the checkpoint's name."""
        limits.allow_open_files()
        with ExitStack() as files:
            yield {
                checkpoint.name: files.enter_context(self.open_activations(checkpoint))
                for checkpoint in self.checkpoints
            }

    def open_codes(self) -> CodesReader:
        """Open the codes."""
        return CodesReader(self.codes, "vinfo-codes", self._count_read)

    # --- what is analysed ---

    @cached_property
    def subject(self) -> Subject:
        """Images and network.

        It brings torchvision along: seconds that only stages that run the network should pay.
        """
        from vinfo_mpi.run.subject import Subject

        return Subject(self.config, self.folder, self.ranks, self.device)

    def head(self, activations: ActivationReader) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return the function from the last tap to the final network's logits, differentiable.

        It takes (N, d) float64 vectors to (N, C) logits.
        """
        if "head" in activations:
            weight = self.tensor(activations.read("head/weight"))
            bias = self.tensor(activations.read("head/bias"))
            return lambda vectors: vectors @ weight.T + bias
        network = self.subject.network(self.final).double().requires_grad_(False)
        return heads.replaced(network, *self.subject.tap(network, activations.map_tap))

    # --- how it is done ---

    def tensor(self, values: np.ndarray) -> torch.Tensor:
        """Return an array as a float64 tensor on this rank's device."""
        return torch.from_numpy(values).to(self.device).to(torch.float64)  # fewer bytes are sent

    def row_file(
        self,
        path: Path,
        columns: Mapping[str, Column],
        rows: int,
        attributes: Mapping[str, Any],
        tables: Mapping[str, Table] | None = None,
        resume: bool = False,
    ) -> RowFile:
        """Return a file of rows as the configuration says, to be written."""
        machine = self.config.machine
        options = {"alignment": (machine.alignment or 0) * 2**20, "hints": machine.hints}
        kind = storage_kind(machine.storage)
        return RowFile(path, columns, rows, self.ranks, attributes, tables, SCALES, kind,
                       resume=resume, options=options)  # fmt: skip

    def writer(self, files: Sequence[RowFile], batch: int, **more: Any) -> RowWriter:
        """Return what writes files of the same rows in batches; see `RowWriter`."""
        return RowWriter(files, batch, self.ranks, count_bytes=self._count_written, **more)

    def bar(self, what: str, total: int) -> tqdm:
        """Return a progress bar of rank 0; in a log file it writes a line now and then."""
        interval = 0.1 if sys.stderr.isatty() else 30
        return tqdm(desc=f"{what:<24}", total=total, disable=not self.ranks.is_root,
                    mininterval=interval, maxinterval=interval)  # fmt: skip

    def progress(self, items: Sequence[T], what: str) -> Iterator[T]:
        """Yield the items, with a progress bar on rank 0."""
        with self.bar(what, len(items)) as bar:
            for item in items:
                yield item
                bar.update()

    def provenance(
        self, filetype: str, fingerprint: str, inputs: dict[str, str | None]
    ) -> dict[str, Any]:
        """Return the attributes that say where a file comes from; the same on all ranks."""
        of_run = {
            "command": self.command,
            "config": self.config.model_dump_json(),
            "ranks": self.ranks.size,
            "seed": self.config.seed,
        }
        of_file = {
            "filetype": filetype,
            "format_version": FORMAT_VERSIONS[filetype],
            "fingerprint": fingerprint,
            "inputs": json.dumps(inputs),
        }
        return self.ranks.on_root(lambda: of_file | of_run | of_program())

    def begin(self) -> None:
        """Start the clocks of a stage, in memory that the stage before has given back."""
        memory.give_back(self.device)
        memory.forget_peak(self.device)
        self.clock = Clock(self.ranks, self.device)
        self._next_saving = time.monotonic() + 60 * self.config.machine.save_minutes

    def end(self) -> None:
        """End what a stage leaves running: processes that read images."""
        if "subject" in vars(self):
            self.subject.rest()

    def _count_read(self, count: int) -> None:
        self.clock.bytes_read += count

    def _count_written(self, count: int) -> None:
        self.clock.bytes_written += count

    def save_timings(self, stage: str) -> None:
        """Add the stage's times to timings.json."""
        timings = self.ranks.on_root(timings_of, self.folder) | {stage: self.clock.summary()}
        self.ranks.on_root(write_text, self.folder / "timings.json", json.dumps(timings, indent=1))

    def lock(self) -> None:
        """Keep other jobs out of the folder until this process ends."""

        def hold() -> None:
            self._lock = lock.hold(self.folder, f"{this_process()} ({self.command})")

        self.ranks.on_root(hold)

    def safe_point(self, save: Callable[[], object] | None = None) -> None:
        """Mark a place where the work can be ended: all ranks call this equally often.

        Parameters
        ----------
        save : function
            Saves what is done: when a rank is asked to stop, and every machine.save_minutes.

        Raises
        ------
        Stopped
            On all ranks if one of them is asked to stop.
        """
        due = save is not None and time.monotonic() >= self._next_saving
        wish = self.ranks.max(STOP if signals.wished() else int(due))
        if wish and save is not None:
            with self.clock.phase("save"):
                save()
            self._next_saving = time.monotonic() + 60 * self.config.machine.save_minutes
        if wish == STOP:
            raise Stopped

    def partial_results(self, stage: str, fingerprint: str) -> PartialResults:
        """Return what an interrupted run of the stage has finished."""
        return PartialResults(self.outputs, stage, fingerprint, self.ranks)
