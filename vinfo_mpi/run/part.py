"""A stage's own part of the run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.registry import STAGES
from vinfo_mpi.results import store
from vinfo_mpi.results.schema import Dataset
from vinfo_mpi.run import freshness
from vinfo_mpi.run.products import product
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage import hdf5
from vinfo_mpi.storage.hdf5 import Table
from vinfo_mpi.storage.partial_results import PartialResults


class Part:
    """One stage's part of a run: where its results come from, what is done of them, where they go.

    Parameters
    ----------
    run : Run
    stage : str
    bring_up_to_date : function of a run and a stage
        Runs another stage, where its result is missing or stale; for stages that repeat others.
    repeat : bool
        Whether the stage is to be done anew, whatever there is.

    Attributes
    ----------
    filetype : str
        Of the file that the stage writes.
    """

    def __init__(
        self,
        run: Run,
        stage: str,
        bring_up_to_date: Callable[[Run, str], None],
        repeat: bool = False,
    ) -> None:
        self.run = run
        self.stage = stage
        self.bring_up_to_date = bring_up_to_date
        self.repeat = repeat
        self.filetype = product((STAGES[stage].makes or (stage,))[0]).filetype

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """The attributes of the file that is about to be written; all ranks together."""
        return self.provenance_of(None)

    def provenance_of(self, checkpoint: Checkpoint | None) -> dict[str, Any]:
        """Return the same for the file of one checkpoint."""
        inputs = self.run.ranks.on_root(freshness.inputs, self.run, self.stage, checkpoint)
        fingerprint = freshness.fingerprint_of(self.run, self.stage, inputs)
        return self.run.provenance(self.filetype, fingerprint, inputs)

    @cached_property
    def partial_results(self) -> PartialResults:
        """Finished work of an interrupted run of the stage, and of this one."""
        return self.run.partial_results(self.stage, self.provenance["fingerprint"])

    def reads(self, name: str) -> bool:
        """Whether the result is made from this product, or analysis, too; all ranks together."""
        return json.loads(self.provenance["inputs"]).get(name) is not None

    def read_results(self, dataset: Dataset) -> np.ndarray:
        """Return what another stage has written to results.h5, checked."""
        return hdf5.read_table(self.run.results, "vinfo-results", dataset.name)

    def write(self, values: Mapping[Dataset, Any]) -> None:
        """Write the stage's part of results.h5, all ranks together; partial results are done with.

        Parameters
        ----------
        values : dict of Dataset to array, or to list of str
            The same on all ranks; types become those of the schema.
        """
        tables = {dataset.name: dataset.table(array) for dataset, array in values.items()}
        self.run.ranks.on_root(store.update, self.run.results, self.stage, tables, self.provenance)
        self._forget_partial_results()

    def write_file(
        self, tables: Mapping[str, Table], attributes: Mapping[str, Any] | None = None
    ) -> None:
        """Write the stage's own file, all ranks together; partial results are done with."""
        path = self.run.outputs / f"{STAGES[self.stage].makes[0]}.h5"
        everything = self.provenance | dict(attributes or {})
        self.run.ranks.on_root(hdf5.write_tables, path, tables, everything)
        self._forget_partial_results()

    def discard(self) -> None:
        """Delete what the stage has made, all ranks together, so that it is made anew."""

        def discard() -> None:
            for name in STAGES[self.stage].makes or (self.stage,):
                product(name).discard(self.run)

        self.run.ranks.on_root(discard)
        self.run.partial_results(self.stage, "").remove()

    def _forget_partial_results(self) -> None:
        if "partial_results" in self.__dict__:
            self.partial_results.remove()
