import subprocess
import sys

PROGRAM = """
import sys

import psutil

from vinfo_mpi.parallel import readers

readers.prepare()
assert "torch" not in sys.modules
begun = psutil.Process().children()

import torch

from vinfo_mpi.config.schema import Data
from vinfo_mpi.data import datasets
from vinfo_mpi.data.loading import Loader
from vinfo_mpi.data.preprocessing import Preprocessing

images = datasets.load(Data(source="digits"), seed=0)
size = Preprocessing((8, 8), [0.5] * 3, [0.5] * 3, 8)
loader = Loader(images, size, torch.device("cpu"), workers=1)
batches = iter(loader.batches([images.labels[:4] * 0, images.labels[:4] * 0]))
next(batches)
assert psutil.Process().children() == begun, "another one was started"
assert [child for each in begun for child in each.children()], "nothing reads"
list(batches)
"""


def test_processes_that_read_descend_from_what_was_prepared_before_torch():
    program = [sys.executable, "-W", "error", "-c", PROGRAM]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
