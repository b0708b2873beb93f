"""What fewer digits in the network's arithmetic do to V-information: a table of method.md.

python docs/precision.py runs/precision

From one training of the sample: with the atoms of the exact network, and with atoms fitted anew.
TF32 is imitated on the processor: what convolutions and products take is rounded to 10 binary
digits, to the nearest, as a GPU does; they add in float32.
"""

import shutil
import sys
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from vinfo_mpi.cli.options import DEFAULT_CONFIG
from vinfo_mpi.config.load import load_config
from vinfo_mpi.networks import precision
from vinfo_mpi.parallel import devices
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.registry import STAGES
from vinfo_mpi.results.schema import COMPLEXITY, VINFORMATION
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.hdf5 import read_table

SAMPLE = ("train.epochs=6", "train.save=[6]", "dictionary.concepts_per_class=10", "pages=[]")
CASES = {
    "bfloat16": "extract.precision=bfloat16",
    "tf32": "extract.precision=tf32",
    "channels_last": "network.channels_last=true",
}
DROPPED = 13  # of the 23 binary digits of a float32
ROUNDED = (torch.conv2d, torch.nn.functional.linear)


class Rounding(TorchFunctionMode):
    """Lets convolutions and products take numbers of 10 binary digits."""

    def __torch_function__(self, function, types, arguments=(), options=None):
        """Do one operation."""
        if function in ROUNDED:
            arguments = (*map(rounded, arguments[:2]), *arguments[2:])
        return function(*arguments, **(options or {}))


def rounded(values):
    """Return float32 values to the nearest of 10 binary digits, ties to even."""
    bits = values.contiguous().view(torch.int32)
    half = (1 << (DROPPED - 1)) - 1 + ((bits >> DROPPED) & 1)
    return (((bits + half) >> DROPPED) << DROPPED).view(torch.float32)


@contextmanager
def computing(name, device):
    """Let networks compute in a precision, TF32 also where there is no GPU."""
    with Rounding() if name == "tf32" else exact(name, device):
        yield


def done(folder, stages, *settings):
    """Do the work of stages, whether or not what is there is of these settings."""
    config = load_config(DEFAULT_CONFIG, [*SAMPLE, *settings])
    run = Run(config, folder, ranks, device, bindings, "docs/precision.py")
    for stage in stages:
        module, _, function = STAGES[stage].work.partition(":")
        run.begin()
        getattr(import_module(module), function)(run, Part(run, stage, None))
    names = [dataset.filled(how="linear, held-out").name for dataset in (VINFORMATION, COMPLEXITY)]
    return [read_table(run.results, "vinfo-results", name) for name in names]


def begun(folder, like, *parts):
    """Return a folder with parts of another."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for part in parts:
        copy = shutil.copytree if (like / part).is_dir() else shutil.copy2
        copy(like / part, folder / part)
    return folder


def change(values, others):
    """Return the mean and the largest difference as text."""
    apart = np.abs(values - others)
    return f"{apart.mean():.1e}, {apart.max():.1e}"


exact = precision.computing
precision.computing = computing
precision.check = lambda *_: None
ranks = Ranks()
device, bindings = devices.bind(ranks, "cpu")
base = Path(sys.argv[1])
reference = begun(base / "float32", base)
fitted = ("dictionary", "encode", "score")
v, k = done(reference, ("train", "extract", *fitted))
print("| | same atoms: mean, largest change of V-information | of the complexity | atoms anew |")
print("|---|---|---|---|")
for name, setting in CASES.items():
    same = begun(base / name, reference, "checkpoints", "dictionary.h5")
    v_same, k_same = done(same, ("extract", "encode", "score"), setting)
    anew = begun(base / f"{name}_anew", same, "checkpoints", "activations")
    _, k_anew = done(anew, fitted, setting)
    print(f"| {name} | {change(v_same, v)} | {change(k_same, k)} | {change(k_anew, k)} |")
