"""Single stages in this process, to be timed."""

from __future__ import annotations

from importlib import import_module

from vinfo_mpi.registry import STAGES
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run


def run_stage(run: Run, stage: str) -> None:
    """Do the work of a stage, whether or not its result is up to date."""
    module, _, function = STAGES[stage].work.partition(":")
    getattr(import_module(module), function)(run, Part(run, stage, run_stage))
