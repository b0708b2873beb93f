"""The small run in this process, for tests that call functions on it."""

from importlib import import_module

import torch
from contents import SMALL

from vinfo_mpi.config.load import load_config
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.registry import STAGES
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run


def on(folder, *settings):
    """Return the small run, with these settings, on one rank in this process."""
    return Run(
        load_config(SMALL[1], [*SMALL[3::2], *settings]),
        folder,
        Ranks(),
        torch.device("cpu"),
        [],
        "test",
    )


def run_stage(run, stage):
    """Do the work of a stage in this process, whether or not its result is up to date."""
    module, _, function = STAGES[stage].work.partition(":")
    getattr(import_module(module), function)(run, Part(run, stage, run_stage))
