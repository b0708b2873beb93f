"""Tests that every rank runs: `mpirun -n R python -m pytest tests/mpi`.

The same assertions on all ranks. Rank 0 reports. The others are silent until a test fails there:
whoever fails says so, with its rank, and ends all.
"""

import io
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import pytest
from mpi4py import MPI

from vinfo_mpi.parallel.guard import RELAY_TIME
from vinfo_mpi.parallel.ranks import Ranks

WORLD = MPI.COMM_WORLD


@pytest.hookimpl(tryfirst=True)
def pytest_configure():
    if WORLD.Get_rank() > 0:
        sys.stdout = io.StringIO()  # pytest's reporter, made after this, writes here


def pytest_runtest_logreport(report):
    _end_all(report)


def pytest_collectreport(report):
    _end_all(report)


def _end_all(report):
    """A rank that fails alone leaves the others in their collective calls: none may wait for it."""
    if report.failed and WORLD.Get_size() > 1:
        sections = [("", report.longreprtext), *report.sections]
        text = "\n".join(f"{title}\n{content}" for title, content in sections)
        where = f"rank {WORLD.Get_rank()} of {WORLD.Get_size()}"
        os.write(2, f"\n{where}: {report.nodeid} failed\n{text}\n".encode())
        time.sleep(RELAY_TIME)
        WORLD.Abort(1)


@pytest.fixture
def ranks():
    """All ranks of the job, with nothing sent yet."""
    return Ranks()


@pytest.fixture
def shared_path():
    """A folder that all ranks see."""
    path = Path(WORLD.bcast(tempfile.mkdtemp() if WORLD.Get_rank() == 0 else None))
    yield path
    WORLD.Barrier()
    if WORLD.Get_rank() == 0:
        shutil.rmtree(path)
