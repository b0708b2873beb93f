"""The small run in this process, for tests that call functions on it."""

import torch
from contents import SMALL

from vinfo_mpi.config.load import load_config
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.run.run import Run


def on(folder, *settings):
    """Return the small run, with these settings, on one rank in this process."""
    return Run(load_config(SMALL[1], [*SMALL[3::2], *settings]), folder, Ranks(), torch.device("cpu"), [], "test")
