"""A job may end at any moment: what it has computed is kept, and a rerun ends with the numbers of an undisturbed run."""

import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest
from contents import ENVIRONMENT, ROOT, datasets

from vinfo_mpi.storage.files import open_checked
from vinfo_mpi.storage.rows import RowReader
from vinfo_mpi.vision import checkpoints

# Enough to do for every stage to be hit in the middle; unfinished work is saved ten times a second.
SETTINGS = [
    "data.image_size=16", "network.width=0.0625", "train.epochs=3", "train.batch=64", "dictionary.kind=joint",
    "dictionary.concepts=50", "dictionary.tolerance=1e-12", "dictionary.max_iterations=60", "encode.tolerance=1e-6",
    "score.folds=100", "analyses=[]", "extract.maps=final", "machine.batch=40", "machine.rows=200", "machine.save_minutes=0.0015",
]  # fmt: skip
OPTIONS = ["--config", str(ROOT / "config/quickstart.yaml"), *(word for setting in SETTINGS for word in ("--set", setting))]
MADE = {  # what each stage makes, in order
    "train": "checkpoints",
    "extract": "activations",
    "dictionary": "dictionary.h5",
    "encode": "codes.h5",
    "score": "results.h5",
    "dynamics": "results.h5",
}
ENDS = ["kill one", "kill one", "kill one", "kill all", "kill all"]
STOPPED = ("train", "extract", "dictionary")  # each saves in a way of its own
KEPT = {  # what shows that there is something to go on from
    "train": "checkpoints/unfinished.pt",
    "extract": "activations/epoch_000.h5",
    "dictionary": "dictionary.fit.h5",
    "encode": ".codes.h5.partial" if h5py.get_config().mpi else "codes.parts.*/*",
    "score": ".score.pieces/*.h5",
    "dynamics": ".dynamics.pieces/*.h5",
}
REUSED = re.compile(r"(\d+) (?:images|taps) reused|after epoch (\d+), step (\d+)|after iteration (\d+)|to do, (\d+) up to date")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, mpirun):
    """A run that nothing has ended."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = mpirun(2, "-m", "vinfo_mpi", *OPTIONS, "--run-dir", folder, limit=300)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("stage", MADE)
def test_ended_at_random_moments(undisturbed, tmp_path, stage):
    """Killed and stopped again and again, on other numbers of ranks, until it has happened in the middle in every way."""
    random = np.random.default_rng([2024, list(MADE).index(stage)])
    duration = json.loads((undisturbed / "timings.json").read_text())[stage]["seconds"]["total"]["mean"]
    ends = list(random.permutation([*ENDS, *(["stop one"] if stage in STOPPED else [])]))
    folder = before(undisturbed, stage, tmp_path / "0")
    for attempt in range(1, 30):
        # Training is the one stage whose numbers depend on the number of ranks.
        ranks = 2 if stage == "train" else int(random.choice([1, 2, 2]))
        job = Job(stage, folder, ranks, tmp_path / f"{attempt}.log")
        job.wait_until_running()
        time.sleep(random.uniform(0, 0.6 * duration))
        if len(ends) == 1:
            job.wait_until_kept(folder)
        code, text = job.end(ends[-1], random)
        whole_or_not_there(folder, MADE[stage])
        if code == 0:  # it was faster
            same(stage, folder, undisturbed)
            folder = before(undisturbed, stage, tmp_path / str(attempt))
            continue
        assert code == 75 if ends[-1].startswith("stop") else code not in (0, 2, 75), text
        ends.pop()
        if not ends:
            break
    assert not ends
    code, text = Job(stage, folder, 2 if stage == "train" else 3, tmp_path / "last.log").wait()
    assert code == 0, text
    finished = f"{stage}: up to date" in text  # the last kill came a moment too late
    assert finished or any(int(number) for found in REUSED.findall(text) for number in found if number), text
    same(stage, folder, undisturbed)
    assert not [path for path in folder.rglob("*") if "partial" in path.name or "unfinished" in path.name or "pieces" in path.name]


def test_what_was_begun_with_force_is_gone_on_with(undisturbed, tmp_path):
    """It takes the place of what was there; readers of images (machine.workers) survive the signal that all processes get."""
    folder = Path(shutil.copytree(undisturbed, tmp_path / "run"))
    job = Job("train", folder, 2, tmp_path / "force.log", "--force", "--set", "machine.workers=1")
    job.wait_until_running()
    job.wait_until_kept(folder)
    code, text = job.end("stop all", None)
    assert code == 75, text
    code, text = Job("train", folder, 2, tmp_path / "on.log").wait()
    assert code == 0, text
    assert "train: going on after epoch" in text
    same("train", folder, undisturbed)


class Job:
    """A stage under mpirun, to be ended from outside."""

    def __init__(self, stage, folder, ranks, log, *more):
        self.stage, self.log = stage, log
        command = [
            "mpirun",
            "-n",
            str(ranks),
            sys.executable,
            "-m",
            f"vinfo_mpi.{stage}",
            *OPTIONS,
            "--run-dir",
            str(folder),
            *more,
        ]
        with log.open("w") as file:
            self.process = subprocess.Popen(command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=file, stderr=file)

    def wait_until_running(self):
        """Wait until the stage has begun, or the job has ended."""
        limit = time.monotonic() + 60
        while f"{self.stage}: running" not in self.log.read_text(errors="replace") and self.process.poll() is None:
            assert time.monotonic() < limit, self.log.read_text(errors="replace")
            time.sleep(0.01)

    def wait_until_kept(self, folder):
        """Wait until the stage has something that a rerun need not do again, or the job has ended."""

        def kept():
            return any(path.stat().st_blocks * 512 > 50_000 or path.suffix != ".partial" for path in folder.glob(KEPT[self.stage]))

        while self.process.poll() is None and not kept():
            time.sleep(0.001)

    def end(self, how, random):
        """Kill or stop one rank or all; return exit code and output."""
        with contextlib.suppress(psutil.NoSuchProcess):
            launcher = psutil.Process(self.process.pid)
            ranks = [one for one in launcher.children(recursive=True) if "python" in one.name()]
            chosen = {"kill all": [launcher, *ranks], "stop all": [launcher]}.get(how)
            for one in random.permutation(ranks)[:1] if chosen is None else chosen:
                one.send_signal(signal.SIGKILL if how.startswith("kill") else signal.SIGUSR2)
        return self.wait()

    def wait(self):
        """Return exit code and output; a job that hangs fails the test."""
        try:
            code = self.process.wait(120)
        except subprocess.TimeoutExpired:
            for one in [*psutil.Process(self.process.pid).children(recursive=True), self.process]:
                one.kill()
            pytest.fail(f"vinfo_mpi.{self.stage} hangs\n{self.log.read_text(errors='replace')}")
        return code, self.log.read_text(errors="replace")


def before(undisturbed, stage, folder):
    """Return a copy of the run as it was before a stage."""
    later = {MADE[one] for one in list(MADE)[list(MADE).index(stage) :]}
    return Path(shutil.copytree(undisturbed, folder, ignore=lambda _, names: later & set(names)))


def whole_or_not_there(folder, name):
    """Whatever lies under a file's name is whole: it opens, and all its checksums are right."""
    for path in [*folder.glob(name), *folder.glob(f"{name}/*")]:
        if path.suffix == ".pt":
            checkpoints.Checkpoint(0, path).content()
        if path.suffix == ".h5":
            with open_checked(path) as file:
                kind = file.attrs["filetype"]
            with RowReader(path, kind) as reader:
                for dataset in datasets(path):
                    reader.read(dataset)
    for path in folder.glob("*.json"):
        json.loads(path.read_text())


def same(stage, folder, undisturbed):
    """The stage's files hold the numbers of the undisturbed run."""
    if stage == "train":
        for path in sorted((undisturbed / "checkpoints").iterdir()):
            found, expected = (
                checkpoints.Checkpoint(0, one / "checkpoints" / path.name).content() for one in (folder, undisturbed)
            )
            for name, values in expected["state"].items():
                np.testing.assert_allclose(found["state"][name], values, rtol=1e-5, atol=1e-6, err_msg=f"{path.name} {name}")
        return
    for path in sorted(undisturbed.rglob("*.h5")):
        if not path.relative_to(undisturbed).parts[0].startswith(MADE[stage]):
            continue
        found, expected = (datasets(one / path.relative_to(undisturbed)) for one in (folder, undisturbed))
        assert found.keys() <= expected.keys()  # results.h5 holds other stages' parts as well
        for name in found.keys() - {"checksums"}:
            if expected[name].dtype.kind == "f":
                np.testing.assert_allclose(found[name], expected[name], rtol=1e-7, atol=1e-7, err_msg=f"{path.name} {name}")
            else:
                assert (found[name] == expected[name]).all(), name
