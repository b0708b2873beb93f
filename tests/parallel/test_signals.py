"""Ctrl-C, as a terminal sends it: to all processes of the command that stands in the foreground."""

import os
import signal
import subprocess
import sys
import time

import pytest
from contents import ENVIRONMENT, ROOT

PROGRAM = """
import sys
from pathlib import Path
from vinfo_mpi.parallel import logs, signals
signals.listen()
import time
from mpi4py import MPI
from vinfo_mpi.errors import Stopped
from vinfo_mpi.parallel.guard import guard

comm = MPI.COMM_WORLD
logs.start(comm.Get_rank())
logs.to_file(Path("logs/stage.log"), comm.Get_rank())
with guard():
    open(f"ready_{comm.Get_rank()}", "w").close()
    while not (comm.allreduce(signals.wished(), MPI.LOR) and "saves" in sys.argv):
        time.sleep(0.01)
    raise Stopped
"""
MPIRUN = ("bash", str(ROOT / "hpc/mpirun.sh"), "-n", "2")


@pytest.fixture
def start(tmp_path):
    """Return start(launcher, *arguments), which returns when the program listens on all ranks."""

    def start(launcher, *arguments):
        process = subprocess.Popen(
            # A shell's job in the background, as these tests may be, ignores SIGINT from the start.
            ["env", "--default-signal=INT", *launcher, sys.executable, "-c", PROGRAM, *arguments],
            cwd=tmp_path,
            env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
            text=True,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        limit = time.monotonic() + 180
        while len(list(tmp_path.glob("ready_*"))) < (2 if launcher else 1):
            assert process.poll() is None and time.monotonic() < limit, process.communicate()
            time.sleep(0.01)
        return process

    return start


@pytest.mark.parametrize("launcher", [(), MPIRUN], ids=["alone", "mpirun"])
def test_the_first_saves(start, launcher, tmp_path):
    process = start(launcher, "saves")
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=180)
    assert process.returncode == 75, said
    assert said.count("stopping where the work can be saved; Ctrl-C again ends at once") == 1
    sentence = "vinfo_mpi: stopped on request, with the work saved; run the same command again"
    assert said.count(sentence) == 1
    assert (tmp_path / "logs/stage.log").read_text().count(f"ERROR {sentence}") == 1


@pytest.mark.parametrize("launcher", [(), MPIRUN], ids=["alone", "mpirun"])
def test_the_second_ends_at_once(start, launcher):
    process = start(launcher)  # it has nothing to save for long
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=180)
    assert process.returncode not in (0, 75), said
    assert "Traceback" not in said
