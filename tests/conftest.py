"""What all tests share: programs run in processes of their own, as a user runs them."""

import contextlib
import fcntl
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import warm_start
from contents import ENVIRONMENT, SMALL
from hypothesis import settings

# The machine may be busy: no limit for a single example; and nothing is left behind.
settings.register_profile("vinfo", deadline=None, database=None)
settings.load_profile("vinfo")

# The third (tests/device/test_stages.py) waits for no run that the first two make.
LONGEST = [
    "test_interruption.py",
    "test_end_to_end.py",
    "test_stages.py",
    "test_failures.py",
    "test_plan.py",
    "test_validity.py",
    "test_packaging.py",
    "test_own_network.py",
    "test_compare.py",
    "test_report.py",
    "test_all_families.py",
    "test_staleness.py",
    "test_memory.py",
]


def pytest_collection_modifyitems(items):
    """The longest files come first, lest one process is still at them when the others are done."""
    items.sort(
        key=lambda item: (
            LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST)
        )
    )


@pytest.fixture(scope="session")
def warm():
    """The words that begin a command whose libraries are imported already."""
    with warm_start.server(ENVIRONMENT) as words:
        yield words


@pytest.fixture(scope="session")
def python(request):
    """Return python(*arguments, cold=False, limit=600, cwd=None, **environment).

    It runs python and gives a `subprocess.CompletedProcess` with text output. A program that takes
    longer than `limit` seconds is killed and fails the test. Commands of vinfo_mpi find torch
    imported, unless they are to begin `cold`, or to import from elsewhere.
    """

    def run(*arguments, launcher=(), cold=False, **options):
        of_ours = arguments[0] == "-m" and arguments[1].startswith("vinfo_mpi")
        cold = cold or not of_ours or "PYTHONPATH" in options
        words = (sys.executable,) if cold else request.getfixturevalue("warm")
        return _run(*launcher, *words, *arguments, **options)

    return run


@pytest.fixture(scope="session")
def mpirun(python):
    """Return mpirun(n, *arguments, ...): the same on n ranks."""
    return lambda n, *arguments, **options: python(
        *arguments, launcher=("mpirun", "-n", n), **options
    )


@pytest.fixture(scope="session")
def vinfo(python, mpirun):
    """Return vinfo(folder, module, *settings, options=(), ranks=1).

    It runs a command on the folder's tiny.yaml, in the folder's run.
    """

    def run(folder, module, *settings, options=(), ranks=1):
        arguments = ["--config", f"{folder}/tiny.yaml", "--run-dir", f"{folder}/run", *options]
        arguments += [word for setting in settings for word in ("--set", setting)]
        command = ("-m", module, *arguments)
        return python(*command, cwd=folder) if ranks == 1 else mpirun(ranks, *command, cwd=folder)

    return run


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """Return shared(name, make): a folder, and what make(folder) has returned.

    The processes that run tests side by side share it: the first that asks makes it, so that tests
    change nothing but copies. What is returned is pickled.
    """
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def share(name, make):
        folder = base / name
        returned = base / f"{name}.pickle"
        with (base / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not returned.exists():
                folder.mkdir(exist_ok=True)
                returned.write_bytes(pickle.dumps(make(folder)))
        return folder, pickle.loads(returned.read_bytes())

    return share


@pytest.fixture(scope="session")
def once(shared, mpirun):
    """Return once(name, *options): a finished run on two ranks, its folder and what it printed."""

    def make(name, *options):
        def run(folder):
            done = mpirun(2, "-m", "vinfo_mpi", *options, "--run-dir", folder, cold=True)
            assert done.returncode == 0, done.stderr
            return done

        return shared(name, run)

    return make


@pytest.fixture(scope="session", name="run")
def finished_run(once):
    """A finished run on two ranks: its folder and what it printed."""
    return once("small", *SMALL)


@pytest.fixture
def copy(run, tmp_path):
    """Return copy(*names): a folder with these files of the finished run, and its plan.

    The plan takes seconds to make.
    """

    def make(*names):
        folder = tmp_path / f"copy{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        for name in ("plan.json", *names):
            # What is stored virtually goes with its parts.
            for source in (run[0] / name, *run[0].glob(f"{Path(name).stem}.parts.*")):
                take = shutil.copytree if source.is_dir() else shutil.copy
                take(source, folder / source.name)
        return folder

    return make


def _run(*words, limit=600, cwd=None, **environment):
    command = [str(word) for word in words]
    process = subprocess.Popen(
        command,
        env={**ENVIRONMENT, **environment},
        cwd=cwd,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        output, errors = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        # Not by process group: mpirun gives each rank a new one.
        launched = psutil.Process(process.pid)
        for member in [launched, *launched.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        output, errors = process.communicate()
        pytest.fail(f"{' '.join(command)} took longer than {limit} s\n{output}\n{errors}")
    return subprocess.CompletedProcess(command, process.returncode, output, errors)
