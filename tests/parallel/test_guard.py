"""Whatever happens on one rank, all ranks end, soon, with one message and one exit code."""

import pytest

PREAMBLE = """
import sys
import time
import numpy as np
from mpi4py.MPI import COMM_WORLD as comm, IN_PLACE
from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel.guard import guard

rank = comm.Get_rank()
"""
SOON = 120  # seconds on a busy machine; who hangs would take longer


@pytest.fixture
def guarded(mpirun, tmp_path):
    """Run the lines of a script inside the guard, on so many ranks."""

    def guarded(ranks, body):
        script = tmp_path / "script.py"
        lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
        script.write_text(f"{PREAMBLE}\nwith guard():\n{lines}")
        return mpirun(ranks, script, limit=SOON)

    return guarded


def test_success(guarded):
    done = guarded(3, "comm.Allreduce(IN_PLACE, np.ones(5))\nprint('done')")
    assert done.returncode == 0
    assert done.stdout.count("done") == 3


def test_success_by_exit(guarded):
    done = guarded(2, "sys.exit(0)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("failing", [0, 2])
def test_one_rank_fails_while_the_others_wait_for_it(guarded, failing):
    done = guarded(
        3, f"if rank == {failing}: raise ValueError('a bug')\ncomm.Allreduce(IN_PLACE, np.ones(5))"
    )
    assert done.returncode == 1
    assert done.stderr.count("Traceback (most recent call last)") == 1
    assert done.stderr.count("ValueError: a bug") == 1
    assert f"rank {failing} of 3 failed:" in done.stderr


def test_one_rank_fails_while_the_others_compute(guarded):
    done = guarded(3, "if rank == 1: raise ValueError('a bug')\ntime.sleep(600)")
    assert done.returncode == 1
    assert done.stderr.count("ValueError: a bug") == 1


def test_all_ranks_fail(guarded):
    done = guarded(3, "raise ValueError('a bug')")
    assert done.returncode == 1
    assert done.stderr.count("ValueError: a bug") == 1
    assert "rank 0 of 3 failed:" in done.stderr


def test_one_rank_finds_a_mistake_of_the_user(guarded):
    done = guarded(
        3,
        "if rank == 1: raise InputError('cats.jpg is not an image')\n"
        "comm.Allreduce(IN_PLACE, np.ones(5))",
    )
    assert done.returncode == 2
    assert done.stderr.count("vinfo_mpi: cats.jpg is not an image\n") == 1
    assert "Traceback" not in done.stderr


def test_all_ranks_find_a_mistake_of_the_user(guarded):
    """One of them speaks, and ends all: the sentence is seen once."""
    done = guarded(3, "raise InputError('no such folder')")
    assert done.returncode == 2
    assert done.stderr.count("no such folder") == 1
    assert "vinfo_mpi: no such folder\n" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_single_rank(guarded):
    done = guarded(1, "raise InputError('no such folder')")
    assert done.returncode == 2
    assert "vinfo_mpi: no such folder\n" in done.stderr


def test_one_rank_exits(guarded):
    done = guarded(3, "if rank == 1: sys.exit(3)\ncomm.Allreduce(IN_PLACE, np.ones(5))")
    assert done.returncode == 1
    assert "rank 1 of 3 failed:" in done.stderr
    assert done.stderr.count("SystemExit: 3") == 1


WRITING = """
from pathlib import Path
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.storage.hdf5 import Table
from vinfo_mpi.storage.row_file import RowFile
from vinfo_mpi.storage.row_writer import RowWriter
from vinfo_mpi.storage.rows import Column, storage_kind
columns = {{"codes": Column((3,), "float32", Table(None, "codes"))}}
kind = storage_kind("auto")
file = RowFile(Path("{path}"), columns, 8, Ranks(), {{}}, kind=kind)
with RowWriter([file], 1, Ranks()) as writer:
    writer.write(4 * rank, {{"codes": np.ones((1, 3))}})
    if rank in {failing}: raise ValueError("a bug")
    for row in range(1, 4): writer.write(4 * rank + row, {{"codes": np.ones((1, 3))}})
"""


@pytest.mark.parametrize("failing", [(1,), (0, 1)], ids=["one rank", "all ranks"])
def test_failing_while_a_file_is_open_on_all_ranks(guarded, tmp_path, failing):
    """HDF5 would close the file at the end, together with ranks that are gone."""
    path = tmp_path / "codes.h5"
    done = guarded(2, WRITING.format(path=path, failing=failing))
    assert done.returncode == 1
    assert done.stderr.count("ValueError: a bug") == 1
    assert not path.exists()
