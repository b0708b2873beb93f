"""A job may end at any moment: what it has computed stays, and a rerun ends with the same numbers.

The same as those of an undisturbed run.
"""

import contextlib
import json
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest
from contents import ENVIRONMENT, ROOT, datasets

from vinfo_mpi.networks import checkpoints
from vinfo_mpi.storage.hdf5 import open_checked
from vinfo_mpi.storage.rows import RowReader

# Enough to do for every stage to be hit in the middle; unfinished work is saved ten times a second.
SETTINGS = [
    "data.per_class=110", "data.image_size=16", "network.width=0.0625", "train.epochs=3",
    "train.batch=64",
    "dictionary.kind=joint", "dictionary.concepts=50", "dictionary.tolerance=1e-12",
    "dictionary.max_iterations=60", "encode.tolerance=1e-5", "score.folds=50", "analyses=[]",
    "pages=[]", "extract.maps=final", "machine.batch=40", "machine.rows=200",
    "machine.save_minutes=0.0015",
]  # fmt: skip
OPTIONS = [
    "--config",
    str(ROOT / "config/quickstart.yaml"),
    *(word for setting in SETTINGS for word in ("--set", setting)),
]
MADE = {  # what each stage makes, in order
    "train": "checkpoints",
    "extract": "activations",
    "dictionary": "dictionary.h5",
    "encode": "codes.h5",
    "score": "results.h5",
    "dynamics": "results.h5",
}
ENDS = ["kill one", "kill all"]
STOPPED = ("train", "extract", "dictionary")  # each saves in a way of its own
UNFINISHED = {  # what shows that there is something to go on from
    "train": "checkpoints/unfinished.pt",
    "extract": "activations/epoch_000.h5",
    "dictionary": "dictionary.fit.h5",
    "encode": ".codes.h5.partial" if h5py.get_config().mpi else "codes.parts.*/*",
    "score": ".score.pieces/*.h5",
    "dynamics": ".dynamics.pieces/*.h5",
}
REUSED = re.compile(
    r"(\d+) (?:images|taps) reused|after epoch (\d+), step (\d+)|after iteration (\d+)"
    r"|to do, (\d+) up to date"
)


@pytest.fixture(scope="module")
def undisturbed(once):
    """A run that nothing has ended."""
    return once("undisturbed", *OPTIONS)[0]


@pytest.mark.parametrize(
    "stages", [["train", "extract", "dictionary"], ["encode", "score", "dynamics"]], ids="-".join
)
def test_ended_at_random_moments(undisturbed, tmp_path, warm, stages):
    """Jobs on other numbers of ranks go on with one run.

    Until each stage was killed and stopped in the middle in all ways.
    """
    random = np.random.default_rng([2024, len(stages[0])])
    timings = json.loads((undisturbed / "timings.json").read_text())
    folder = before(undisturbed, stages[0], tmp_path / "0")
    jobs = 0
    before_it = None
    for stage in stages:
        ends = list(random.permutation([*ENDS, *(["stop one"] if stage in STOPPED else [])]))
        while ends:
            jobs += 1
            assert jobs < 60
            # Training is the one stage whose numbers depend on the number of ranks.
            ranks = 2 if "train" in (stage, before_it) else int(random.choice([1, 2, 3]))
            job = Job(warm, "vinfo_mpi", folder, ranks, tmp_path / f"{jobs}.log")
            job.wait_until_running(stage)
            time.sleep(random.uniform(0, 0.4 * timings[stage]["seconds"]["total"]["mean"]))
            if len(ends) == 1:
                job.wait_until_something_is_saved(folder, stage)
            code, text = job.end(ends[-1], random)
            whole_or_not_there(folder, MADE[stage])
            if before_it:
                gone_on_with(before_it, text)
                same(before_it, folder, undisturbed)
                before_it = None
            _, running, after = text.partition(f"{stage}: running")
            if code == 0 or not running or "running" in after:  # it was faster
                same(stage, folder, undisturbed)
                folder = before(undisturbed, stage, tmp_path / str(jobs))
            else:
                assert code == 75 if ends[-1].startswith("stop") else code not in (0, 2, 75), text
                ends.pop()
        before_it = stage
    code, text = Job(warm, f"vinfo_mpi.{stages[-1]}", folder, 3, tmp_path / "last.log").wait()
    assert code == 0, text
    gone_on_with(stages[-1], text)
    same(stages[-1], folder, undisturbed)
    temporary = ("partial", "unfinished", "pieces")
    names = [path.name for path in folder.rglob("*")]
    assert not [name for name in names if any(word in name for word in temporary)]


def test_what_was_begun_with_force_is_gone_on_with(undisturbed, tmp_path, warm):
    """It takes the place of what was there.

    Readers of images (machine.workers) survive the signal that all processes get.
    """
    folder = Path(shutil.copytree(undisturbed, tmp_path / "run"))
    more = ("--force", "--set", "machine.workers=1")
    job = Job(warm, "vinfo_mpi.train", folder, 2, tmp_path / "force.log", *more)
    job.wait_until_running("train")
    job.wait_until_something_is_saved(folder, "train")
    code, text = job.end("stop all", None)
    assert code == 75, text
    code, text = Job(warm, "vinfo_mpi.train", folder, 2, tmp_path / "on.log").wait()
    assert code == 0, text
    assert "train: resuming after epoch" in text
    same("train", folder, undisturbed)


class Job:
    """A command under mpirun, to be ended from outside."""

    def __init__(self, python, module, folder, ranks, log, *more):
        self.log = log
        command = ["mpirun", "-n", str(ranks), *python, "-m", module]
        command += [*OPTIONS, "--run-dir", str(folder), *more]
        with log.open("w") as file:
            self.process = subprocess.Popen(
                command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )

    def wait_until_running(self, stage):
        """Wait until the stage has begun, or has nothing to do, or the job has ended."""
        limit = time.monotonic() + 180
        reached = re.compile(f"{stage}: (running|up to date)")
        while (
            not reached.search(text := self.log.read_text(errors="replace"))
            and self.process.poll() is None
        ):
            assert time.monotonic() < limit, text
            time.sleep(0.01)

    def wait_until_something_is_saved(self, folder, stage):
        """Wait until a rerun need not do all of the stage again, or the job has ended."""

        def saved():
            # More than the first rows of each rank, whose checksums follow them.
            return any(
                path.stat().st_blocks * 512 > 200_000 or path.suffix != ".partial"
                for path in folder.glob(UNFINISHED[stage])
            )

        while self.process.poll() is None and not saved():
            time.sleep(0.001)

    def end(self, how, random):
        """Kill or stop one rank or all; return exit code and output."""
        with contextlib.suppress(psutil.NoSuchProcess):
            launcher = psutil.Process(self.process.pid)
            members = launcher.children(recursive=True)
            ranks = [process for process in members if "python" in process.name()]
            chosen = {"kill all": [launcher, *ranks], "stop all": [launcher]}.get(how)
            for process in random.permutation(ranks)[:1] if chosen is None else chosen:
                process.send_signal(signal.SIGKILL if how.startswith("kill") else signal.SIGUSR2)
        return self.wait()

    def wait(self):
        """Return exit code and output; a job that hangs fails the test."""
        try:
            code = self.process.wait(240)
        except subprocess.TimeoutExpired:
            members = psutil.Process(self.process.pid).children(recursive=True)
            for process in [*members, self.process]:
                process.kill()
            pytest.fail(f"a job hangs\n{self.log.read_text(errors='replace')}")
        return code, self.log.read_text(errors="replace")


def gone_on_with(stage, text):
    """The job has gone on with what the job before had done of the stage, perhaps all of it."""
    of_stage = text.split(f"{stage}: running")[-1].split(": running")[0]
    numbers = [number for groups in REUSED.findall(of_stage) for number in groups if number]
    assert f"{stage}: up to date" in text or any(map(int, numbers)), text


def before(undisturbed, stage, folder):
    """Return a copy of the run as it was before a stage."""
    later = {MADE[name] for name in list(MADE)[list(MADE).index(stage) :]}
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
            expected = checkpoints.Checkpoint(0, path).content()["state"]
            made_again = folder / "checkpoints" / path.name
            weights = checkpoints.Checkpoint(0, made_again).content()["state"]
            for name, values in expected.items():
                where = f"{path.name} {name}"
                np.testing.assert_allclose(
                    weights[name], values, rtol=1e-5, atol=1e-6, err_msg=where
                )
        return
    for path in sorted(undisturbed.rglob("*.h5")):
        if not path.relative_to(undisturbed).parts[0].startswith(MADE[stage]):
            continue
        expected = datasets(path)
        stored = datasets(folder / path.relative_to(undisturbed))
        assert stored.keys() <= expected.keys()  # results.h5 holds other stages' parts as well
        for name in stored.keys() - {"checksums"}:
            if expected[name].dtype.kind == "f":
                where = f"{path.name} {name}"
                np.testing.assert_allclose(
                    stored[name], expected[name], rtol=1e-7, atol=1e-7, err_msg=where
                )
            else:
                assert (stored[name] == expected[name]).all(), name
